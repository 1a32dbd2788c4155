/** Networks for which TensorFlow Lite as it is run here gives other numbers by more than one step, and why that is no error of the file. */
export const EXPLAINED: Readonly<Record<string, string>> = {
  "concatenation: uint8 of other scales":
    "XNNPACK copies the bytes whatever their scales; TensorFlow Lite's own kernel (ConcatenationWithScaling) rescales, and so does Kinglet",
  "cast: float32 to int8": "what lies outside the type is undefined in C++: this build keeps the lowest byte, Kinglet clamps",
  "logistic: int16 of a power of two":
    "for scales that are powers of two this build takes a fixed-point polynomial, 6 steps from the function; the reference kernel's table is 1 step from it",
  "tanh: int16 of a power of two":
    "for scales that are powers of two this build takes a fixed-point polynomial, 11 steps from the function; the reference kernel's table is 1 step from it",
  "mobilenet_v3, 16x8":
    "its float hard swish differs by a last bit in XNNPACK, one element is then quantized a step of 16 bits apart, and ten layers pass that on",
  "mobilenet_v3, int8 weights":
    "activations are quantized while it runs: a last bit of a float hard swish makes one of them a step of 8 bits larger or smaller",
};

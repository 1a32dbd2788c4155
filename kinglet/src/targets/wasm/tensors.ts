import { allocate, type DType, elementCount, type Shape } from "../../base/index.ts";
import type { Port } from "../../loops/index.ts";

/** An input or output as the package's files speak of it. */
export interface Tensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly scale?: number;
  readonly zeroPoint?: number;
  /** Name of the JavaScript class that holds the elements. */
  readonly array: string;
  readonly length: number;
  /** Address in the module's memory. */
  readonly offset: number;
}

export function describeTensors(ports: readonly Port[], addresses: readonly number[]): Tensor[] {
  return ports.map(({ name, dtype, shape, quantization, buffer }) => ({
    name,
    dtype,
    shape,
    ...quantization,
    array: allocate(dtype, 0).constructor.name,
    length: elementCount(shape),
    offset: addresses[buffer]!,
  }));
}

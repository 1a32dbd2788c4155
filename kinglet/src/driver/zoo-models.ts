/** How far each result of a float model may lie from the stored one, relative to its largest number. */
export const FLOAT_DIFFERENCE = 5e-6;

/** Models of small results, for which two builds of the other engine differ by 2e-5 and 4e-5 themselves. */
export const ROUGH_MODELS: Readonly<Record<string, number>> = { "basic_pitch-nmp-onnx": 1e-4, "pose-cpm": 1e-4 };

/** Float models, and models whose int8 weights meet activations that are quantized while the network runs. */
export const FLOAT_MODELS: readonly string[] = [
  "basic_pitch-nmp",
  "dtln-model_1",
  "dtln-model_quant_1",
  "hand-keypoint_classifier",
  "mcunet-vww",
  "mediapipe-face_detection_short_range",
  "mediapipe-face_landmark",
  "mlperf-ad01_fp32",
  "mlperf-kws_ref_model_float32",
  "mlperf-pretrainedResnet",
  "mlperf-vww_96_float",
  "mtcnn-pnet",
  "mtcnn-rnet",
  "pose-cpm",
  "qualcomm-vww_keras_model",
  "speech_embedding",
  "tflm-hello_world_float",
  "tfs-movie_review",
  "tinymaix-mnist_dw_f",
  "tinymaix-vww96_f",
  "ultraface-slim-320",
];

/** ONNX models with the transposes that are left of them: where pictures come in channels first, and where they turn into sequences. */
export const ONNX_MODELS: Readonly<Record<string, number>> = {
  "alibaba-kws-onnx": 0,
  "basic_pitch-nmp-onnx": 0,
  "blazeface_front_128-onnx": 0,
  "dtln-model_1-onnx": 0,
  "kaijiang-kws_ref_model-onnx": 0,
  "kaijiang-resnet-onnx": 0,
  "onnx-mnist-8-onnx": 1,
  "onnx2c-mnist-pytorch-onnx": 0,
  "silero_vad_16k_op15-onnx": 6,
  "tract-keras-example-onnx": 0,
  "ultraface-slim-320-onnx": 1,
  "vww_96_float-onnx": 1,
  "yunet_n_320-onnx": 1,
};

/**
 * Quantized ones, by steps before the closing softmax. Each layer alone lies within one step of the other engine, which rounds floats once where
 * integer layers round twice (`npm run conformance -- --onnx`); behind ten layers that is two or three.
 */
export const QUANTIZED_ONNX_STEPS: Readonly<Record<string, number>> = { "kaijiang-kws_ref_model-onnx": 3, "kaijiang-resnet-onnx": 3 };

/** Largest differences of a quantized model in steps: of its outputs, and of the tensors before a closing softmax or the like. */
export interface Steps {
  readonly outputs: number;
  readonly taps: number;
  /** The same with the engine's own rounding (ops/one-rounding-testing.ts); 0 where absent. */
  readonly rounded?: { readonly outputs: number; readonly taps: number };
}

/**
 * The specification's two roundings differ from the engine's one by a step here and there, and that adds up with depth:
 * a softmax makes up to 14 steps of two in its input. With the engine's rounding most models agree to the bit, which
 * tells a rounding from a mistake. What is left then are layers for which the engine has another formula altogether:
 * LSTM and streaming layers on its optimized integer kernels, the mean of a picture, a picture resized to odd sizes.
 */
export const QUANTIZED_MODELS: Readonly<Record<string, Steps>> = {
  "coral-deeplabv3_mnv2_dm05_pascal_quant": { outputs: 0, taps: 5, rounded: { outputs: 0, taps: 1 } },
  "coral-keras_lstm_mnist_ptq": { outputs: 4, taps: 1, rounded: { outputs: 4, taps: 1 } },
  "coral-mobilenet_v1_0.25_128_quant": { outputs: 9, taps: 2 },
  "coral-split_concat": { outputs: 0, taps: 0 },
  "emlearn-mnist_cnn_int8": { outputs: 0, taps: 0 },
  "mlperf-ad01_int8": { outputs: 2, taps: 0 },
  "mlperf-kws_ref_model": { outputs: 0, taps: 1 },
  "mlperf-pretrainedResnet_quant": { outputs: 14, taps: 4 },
  "mlperf-str_ww_ref_model": { outputs: 0, taps: 1 },
  "mlperf-vww_96_int8": { outputs: 0, taps: 2 },
  "mww-hey_mycroft_v2": { outputs: 2, taps: 1, rounded: { outputs: 2, taps: 1 } },
  "mww-okay_nabu_v2": { outputs: 0, taps: 1, rounded: { outputs: 0, taps: 2 } },
  "mww-vad_v2": { outputs: 0, taps: 0, rounded: { outputs: 0, taps: 1 } },
  "tflm-hello_world_int8": { outputs: 0, taps: 0 },
  "tflm-keyword_scrambled": { outputs: 0, taps: 0 },
  "tflm-micro_speech_quantized": { outputs: 0, taps: 0 },
  "tflm-mnist_lstm_int8": { outputs: 6, taps: 1, rounded: { outputs: 6, taps: 1 } },
  "tfs-automl_labeler_model": { outputs: 1, taps: 3 },
  "tfs-mobilenet_v1_0.25_224_quant": { outputs: 3, taps: 2 },
  "tinymaix-cifar10_q": { outputs: 0, taps: 1 },
  "tinymaix-mnist_valid_q": { outputs: 9, taps: 1 },
  // 52 convolutions and ten sums without a bounded activation: one step early on reaches every logit.
  "xtensa-mobilenet_v2_quantized_nchw": { outputs: 7, taps: 0, rounded: { outputs: 1, taps: 0 } },
};

/** Files that hold operators outside Kinglet's list, and the one that the error must name. */
export const REFUSED_FILES: Readonly<Record<string, string>> = {
  "deeplabv3_mnv2_dm05_pascal_quant_edgetpu.tflite": "edgetpu-custom-op",
  "keras_lstm_mnist_ptq_edgetpu.tflite": "edgetpu-custom-op",
  "mediapipe-selfie_segmentation.tflite": "Convolution2DTransposeBias",
  "mobilenet_v1_0.25_128_quant_edgetpu.tflite": "edgetpu-custom-op",
  "model_invoking_error.tflite": "fake-op-double",
  "split_concat_edgetpu.tflite": "edgetpu-custom-op",
  "tfs-whitespace_tokenizer_flex.tflite": "FlexUnicodeDecodeWithOffsets",
};

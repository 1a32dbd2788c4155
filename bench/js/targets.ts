/** The least that the fastest WebAssembly peer's time divided by Kinglet's is to be, by model; baseline SIMD, one thread. */
export const JS_TARGETS: Readonly<Record<string, number>> = {
  kws: 2.2,
  vww96: 1.5,
  resnet8: 1.5,
  ad01: 1.4,
  kws_float: 2,
  vww96_float: 1.45,
  resnet8_float: 1.2,
  "mobilenet_v1_0.25_128": 1.5,
  "mobilenet_v2_1.0_224": 1.5,
};

/** The same with relaxed SIMD, in a browser that has it. */
export const RELAXED_TARGETS: Readonly<Record<string, number>> = { kws_float: 1.5, vww96_float: 1.5, resnet8_float: 1.5 };

/** The least that two threads are to be faster than one. */
export const THREAD_TARGETS: Readonly<Record<string, number>> = { "mobilenet_v1_1.0_224_float": 1.5 };

/** The largest share of the fastest peer's time from bytes to the first result. */
export const START_TARGET = 1 / 5;

/** Most bytes of module and loader, gzipped, for gzipped weights of so many bytes. */
export function gzipLimit(weightGzipBytes: number): number {
  return 1.15 * weightGzipBytes + 40 * 1024;
}

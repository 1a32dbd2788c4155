import { describe, expect, it } from "vitest";
import { cropImage, grey, normalise, resizeImage } from "./image.ts";
import { expectNear, noise, run } from "./signal-testing.ts";

const bytes = Uint8Array.from(noise(4 * 6 * 3, 2), (v) => Math.floor((v + 1) * 128));

describe("images", () => {
  it("are halved by the mean of four neighbours", () => {
    const got = run([1, 4, 6, 3], bytes, (b, x) => resizeImage(b, x, { height: 2, width: 3 }));
    expect(got.shape).toEqual([1, 2, 3, 3]);
    const wanted = Array.from({ length: 18 }, (_, i) => {
      const [y, x, c] = [Math.floor(i / 9), Math.floor(i / 3) % 3, i % 3];
      return [0, 1].flatMap((dy) => [0, 1].map((dx) => bytes[((2 * y + dy) * 6 + 2 * x + dx) * 3 + c]!)).reduce((a, v) => a + v) / 4;
    });
    expectNear(got.data, wanted, 1e-6);
  });

  it("are cut", () => {
    const got = run([1, 4, 6, 3], bytes, (b, x) => normalise(b, cropImage(b, x, { top: 1, left: 2, height: 2, width: 3 }), { mean: 0, std: 1 }));
    expect(got.shape).toEqual([1, 2, 3, 3]);
    expect([...got.data].slice(0, 9)).toEqual([...bytes].slice((1 * 6 + 2) * 3, (1 * 6 + 5) * 3));
  });

  it("get mean 0 and deviation 1 by channel", () => {
    const [mean, std] = [
      [10, 20, 30],
      [2, 4, 8],
    ];
    const got = run([1, 4, 6, 3], bytes, (b, x) => normalise(b, x, { mean, std }));
    expectNear(
      got.data,
      Array.from(bytes, (v, i) => (v - mean[i % 3]!) / std[i % 3]!),
      1e-6,
    );
    expect(() => run([1, 4, 6, 3], bytes, (b, x) => normalise(b, x, { mean: [1, 2], std: 1 }))).toThrow("3 channels");
    expect(() => run([1, 4, 6, 3], bytes, (b, x) => normalise(b, x, { mean: 0, std: 0 }))).toThrow("not positive");
  });

  it("become grey", () => {
    const got = run([1, 4, 6, 3], bytes, grey);
    expect(got.shape).toEqual([1, 4, 6, 1]);
    expectNear(
      got.data,
      Array.from({ length: 24 }, (_, i) => 0.2989 * bytes[3 * i]! + 0.587 * bytes[3 * i + 1]! + 0.114 * bytes[3 * i + 2]!),
      1e-6,
    );
  });
});

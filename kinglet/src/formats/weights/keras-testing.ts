import { EFFICIENT_STAGES, eights, Listing, MOBILENET_V2_STAGES, type Row } from "./torchvision-testing.ts";

/** Layers of Keras, by their own names. */
class Keras extends Listing {
  readonly depthwiseKernel: string;

  constructor(version: 2 | 3) {
    super("keras");
    this.depthwiseKernel = version === 2 ? "depthwise_kernel" : "kernel";
  }

  conv(name: string, from: number, to: number, kernel = 1, bias = false): void {
    this.add(`${name}/kernel`, [kernel, kernel, from, to]);
    if (bias) this.add(`${name}/bias`, [to]);
  }

  depthwise(name: string, channels: number, kernel: number): void {
    this.add(`${name}/${this.depthwiseKernel}`, [kernel, kernel, channels, 1]);
  }

  norm(name: string, channels: number): void {
    for (const variable of ["gamma", "beta", "moving_mean", "moving_variance"]) this.add(`${name}/${variable}`, [channels]);
  }

  dense(name: string, from: number, to: number): void {
    this.add(`${name}/kernel`, [from, to]);
    this.add(`${name}/bias`, [to]);
  }
}

export function kerasMobileNetV1(): Keras {
  const net = new Keras(2);
  net.conv("conv1", 3, 32, 3);
  net.norm("conv1_bn", 32);
  let from = 32;
  [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024].forEach((to, i) => {
    net.depthwise(`conv_dw_${i + 1}`, from, 3);
    net.norm(`conv_dw_${i + 1}_bn`, from);
    net.conv(`conv_pw_${i + 1}`, from, to);
    net.norm(`conv_pw_${i + 1}_bn`, to);
    from = to;
  });
  net.conv("conv_preds", 1024, 1000, 1, true);
  return net;
}

export function kerasMobileNetV2(): Keras {
  const net = new Keras(3);
  net.conv("Conv1", 3, 32, 3);
  net.norm("bn_Conv1", 32);
  let [from, number] = [32, 0];
  for (const [times, to, blocks] of MOBILENET_V2_STAGES)
    for (let i = 0; i < blocks; i++, number++) {
      const [prefix, wide] = [number === 0 ? "expanded_conv_" : `block_${number}_`, from * times];
      if (number > 0) net.conv(`${prefix}expand`, from, wide);
      if (number > 0) net.norm(`${prefix}expand_BN`, wide);
      net.depthwise(`${prefix}depthwise`, wide, 3);
      net.norm(`${prefix}depthwise_BN`, wide);
      net.conv(`${prefix}project`, wide, to);
      net.norm(`${prefix}project_BN`, to);
      from = to;
    }
  net.conv("Conv_1", from, 1280);
  net.norm("Conv_1_bn", 1280);
  net.dense("predictions", 1280, 1000);
  return net;
}

/** Keras 2 puts folders into names. */
export function kerasMobileNetV3(rows: readonly Row[], features: number, version: 2 | 3): Keras {
  const net = new Keras(version);
  const inside = version === 2 ? "/" : "_";
  const norm = version === 2 ? "/BatchNorm" : "_bn";
  const capital = version === 2 ? "Conv" : "conv";
  net.conv(capital, 3, 16, 3);
  net.norm(`${capital}${norm}`, 16);
  let from = 16;
  rows.forEach(([kernel, wide, to, gate], i) => {
    const prefix = `expanded_conv${i === 0 ? "" : `_${i}`}${inside}`;
    if (i > 0) net.conv(`${prefix}expand`, from, wide);
    if (i > 0) net.norm(`${prefix}expand${norm}`, wide);
    net.depthwise(`${prefix}depthwise`, wide, kernel);
    net.norm(`${prefix}depthwise${norm}`, wide);
    if (gate === 1) {
      const squeezed = eights(wide / 4);
      net.conv(`${prefix}squeeze_excite${inside}${capital}`, wide, squeezed, 1, true);
      net.conv(`${prefix}squeeze_excite${inside}${capital}_1`, squeezed, wide, 1, true);
    }
    net.conv(`${prefix}project`, wide, to);
    net.norm(`${prefix}project${norm}`, to);
    from = to;
  });
  net.conv(`${capital}_1`, from, 6 * from);
  net.norm(`${capital}_1${norm}`, 6 * from);
  net.conv(`${capital}_2`, 6 * from, features, 1, true);
  net.conv(version === 2 ? "Logits" : "logits", features, 1000, 1, true);
  return net;
}

export function kerasEfficientNet(width: number, depth: number): Keras {
  const net = new Keras(2);
  let from = eights(32 * width);
  net.add("normalization/mean", [3]);
  net.add("normalization/variance", [3]);
  net.conv("stem_conv", 3, from, 3);
  net.norm("stem_bn", from);
  EFFICIENT_STAGES.forEach(([times, kernel, channels, layers], stage) => {
    for (let i = 0; i < Math.ceil(layers * depth); i++) {
      const [name, to, wide] = [`block${stage + 1}${"abcdefgh"[i]}_`, eights(channels * width), from * times];
      if (times !== 1) net.conv(`${name}expand_conv`, from, wide);
      if (times !== 1) net.norm(`${name}expand_bn`, wide);
      net.depthwise(`${name}dwconv`, wide, kernel);
      net.norm(`${name}bn`, wide);
      const squeezed = Math.max(1, Math.floor(from / 4));
      net.conv(`${name}se_reduce`, wide, squeezed, 1, true);
      net.conv(`${name}se_expand`, squeezed, wide, 1, true);
      net.conv(`${name}project_conv`, wide, to);
      net.norm(`${name}project_bn`, to);
      from = to;
    }
  });
  net.conv("top_conv", from, eights(1280 * width));
  net.norm("top_bn", eights(1280 * width));
  net.dense("predictions", eights(1280 * width), 1000);
  return net;
}

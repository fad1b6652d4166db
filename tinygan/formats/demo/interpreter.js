// tinygan's layers in plain JavaScript: what `predict` computes, and nothing else.
//
// A network is a list of layers as tinygan.formats.demo writes it; each says its kind, its numbers,
// and where its weights are in one long array. Pictures are {data: Float32Array, shape: [H, W, C]},
// one at a time, channels last, as in tinygan.
"use strict";

const tinygan = (() => {
  const prod = (shape) => shape.reduce((a, b) => a * b, 1);
  const make = (shape) => ({ data: new Float32Array(prod(shape)), shape });

  // c = a bᵀ for a (m × k) and b (n × k). Four rows of each at a time: eight reads, sixteen products.
  function multiply(a, b, c, m, n, k) {
    let i = 0;
    for (; i + 4 <= m; i += 4) {
      const a0 = i * k, a1 = a0 + k, a2 = a1 + k, a3 = a2 + k;
      const c0 = i * n, c1 = c0 + n, c2 = c1 + n, c3 = c2 + n;
      let j = 0;
      for (; j + 4 <= n; j += 4) {
        const b0 = j * k, b1 = b0 + k, b2 = b1 + k, b3 = b2 + k;
        let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
        let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
        for (let l = 0; l < k; l++) {
          const x0 = a[a0 + l], x1 = a[a1 + l], x2 = a[a2 + l], x3 = a[a3 + l];
          const w0 = b[b0 + l], w1 = b[b1 + l], w2 = b[b2 + l], w3 = b[b3 + l];
          s00 += x0 * w0; s01 += x0 * w1; s02 += x0 * w2; s03 += x0 * w3;
          s10 += x1 * w0; s11 += x1 * w1; s12 += x1 * w2; s13 += x1 * w3;
          s20 += x2 * w0; s21 += x2 * w1; s22 += x2 * w2; s23 += x2 * w3;
          s30 += x3 * w0; s31 += x3 * w1; s32 += x3 * w2; s33 += x3 * w3;
        }
        c[c0 + j] = s00; c[c0 + j + 1] = s01; c[c0 + j + 2] = s02; c[c0 + j + 3] = s03;
        c[c1 + j] = s10; c[c1 + j + 1] = s11; c[c1 + j + 2] = s12; c[c1 + j + 3] = s13;
        c[c2 + j] = s20; c[c2 + j + 1] = s21; c[c2 + j + 2] = s22; c[c2 + j + 3] = s23;
        c[c3 + j] = s30; c[c3 + j + 1] = s31; c[c3 + j + 2] = s32; c[c3 + j + 3] = s33;
      }
      for (let r = i; r < i + 4; r++) rest(a, b, c, r, j, n, k);
    }
    for (; i < m; i++) rest(a, b, c, i, 0, n, k);
  }

  function rest(a, b, c, i, from, n, k) {
    for (let j = from; j < n; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) sum += a[i * k + l] * b[j * k + l];
      c[i * n + j] = sum;
    }
  }

  // Each row of the output is one product: its windows, one a row, times the kernel.
  function conv(x, layer) {
    const [H, W, C] = x.shape, [KH, KW, , O] = layer.weight.shape;
    const [sh, sw] = layer.stride, [ph, pw] = layer.padding;
    const OH = Math.floor((H + 2 * ph - KH) / sh) + 1, OW = Math.floor((W + 2 * pw - KW) / sw) + 1;
    const K = KH * KW * C, y = make([OH, OW, O]);
    layer.rows ??= transposed(layer.weight.data, K, O);
    const windows = new Float32Array(OW * K);
    for (let i = 0; i < OH; i++) {
      windows.fill(0);
      for (let j = 0; j < OW; j++) {
        for (let a = 0; a < KH; a++) {
          const h = i * sh + a - ph;
          if (h < 0 || h >= H) continue;
          const from = Math.max(0, pw - j * sw), to = Math.min(KW, W + pw - j * sw);
          if (from >= to) continue;
          const start = (h * W + j * sw + from - pw) * C;
          const row = x.data.subarray(start, start + (to - from) * C);
          windows.set(row, j * K + (a * KW + from) * C);
        }
      }
      multiply(windows, layer.rows, y.data.subarray(i * OW * O, (i + 1) * OW * O), OW, O, K);
    }
    return addChannels(y, layer.bias);
  }

  // The adjoint: each row of the input times the kernel gives stamps, which are added up.
  function convTranspose(x, layer) {
    const [H, W, C] = x.shape, [KH, KW, O] = layer.weight.shape;
    const [sh, sw] = layer.stride, [ph, pw] = layer.padding, [oh, ow] = layer.output_padding;
    const OH = (H - 1) * sh - 2 * ph + KH + oh, OW = (W - 1) * sw - 2 * pw + KW + ow;
    const y = make([OH, OW, O]), N = KH * KW * O, stamps = new Float32Array(W * N);
    for (let i = 0; i < H; i++) {
      multiply(x.data.subarray(i * W * C, (i + 1) * W * C), layer.weight.data, stamps, W, N, C);
      for (let j = 0; j < W; j++) {
        for (let a = 0; a < KH; a++) {
          const h = i * sh + a - ph;
          if (h < 0 || h >= OH) continue;
          for (let b = 0; b < KW; b++) {
            const w = j * sw + b - pw;
            if (w < 0 || w >= OW) continue;
            const to = (h * OW + w) * O, from = j * N + (a * KW + b) * O;
            for (let o = 0; o < O; o++) y.data[to + o] += stamps[from + o];
          }
        }
      }
    }
    return addChannels(y, layer.bias);
  }

  function transposed(data, rows, columns) {
    const out = new Float32Array(data.length);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j];
    }
    return out;
  }

  function addChannels(y, bias) {
    if (bias) {
      const O = bias.data.length;
      for (let i = 0; i < y.data.length; i++) y.data[i] += bias.data[i % O];
    }
    return y;
  }

  // y = γ (x − mean) / √(variance + ε) + β, as one factor and one shift for each channel.
  function normalize(x, layer, mean, variance) {
    const C = x.shape[2], y = make(x.shape), factor = new Float64Array(C), shift = new Float64Array(C);
    for (let c = 0; c < C; c++) {
      factor[c] = (layer.weight ? layer.weight.data[c] : 1) / Math.sqrt(variance[c] + layer.eps);
      shift[c] = (layer.bias ? layer.bias.data[c] : 0) - mean[c] * factor[c];
    }
    for (let i = 0, c = 0; i < x.data.length; i++, c = c + 1 === C ? 0 : c + 1) {
      y.data[i] = x.data[i] * factor[c] + shift[c];
    }
    return y;
  }

  // Over the pixels of each channel, or of a group of neighbouring channels together.
  function instanceNorm(x, layer) {
    const C = x.shape[2], each = layer.groups ? C / layer.groups : 1, M = (x.data.length / C) * each;
    const group = Int32Array.from({ length: C }, (_, c) => Math.floor(c / each));
    const mean = new Float64Array(C), variance = new Float64Array(C);
    for (let i = 0; i < x.data.length; i++) mean[group[i % C]] += x.data[i] / M;
    for (let i = 0; i < x.data.length; i++) {
      variance[group[i % C]] += (x.data[i] - mean[group[i % C]]) ** 2 / M;
    }
    const spread = (values) => Float64Array.from(group, (g) => values[g]);
    return normalize(x, layer, spread(mean), spread(variance));
  }

  function linear(x, layer) {
    const [C, O] = layer.weight.shape, M = x.data.length / C;
    const y = make([...x.shape.slice(0, -1), O]);
    layer.rows ??= transposed(layer.weight.data, C, O);
    multiply(x.data, layer.rows, y.data, M, O, C);
    return addChannels(y, layer.bias);
  }

  function pool(first, step, last) {
    return (x, { kernel_size: [KH, KW], stride: [sh, sw], padding: [ph, pw] }) => {
      const [H, W, C] = x.shape;
      const OH = Math.floor((H + 2 * ph - KH) / sh) + 1;
      const OW = Math.floor((W + 2 * pw - KW) / sw) + 1, y = make([OH, OW, C]);
      for (let i = 0; i < y.data.length; i++) {
        const c = i % C, w = Math.floor(i / C) % OW, h = Math.floor(i / C / OW);
        let value = first;
        for (let a = Math.max(0, ph - h * sh); a < KH && h * sh + a - ph < H; a++) {
          for (let b = Math.max(0, pw - w * sw); b < KW && w * sw + b - pw < W; b++) {
            value = step(value, x.data[((h * sh + a - ph) * W + w * sw + b - pw) * C + c]);
          }
        }
        y.data[i] = last(value, KH * KW);
      }
      return y;
    };
  }

  function pixelShuffle(x, { scale: r }) {
    const [H, W, C] = x.shape, O = C / r ** 2, y = make([H * r, W * r, O]);
    for (let k = 0; k < x.data.length; k++) {
      const c = k % C, w = Math.floor(k / C) % W, h = Math.floor(k / C / W);
      const o = Math.floor(c / r ** 2), i = Math.floor(c / r) % r, j = c % r;
      y.data[((h * r + i) * W * r + w * r + j) * O + o] = x.data[k];
    }
    return y;
  }

  function prelu(x, layer) {
    const slopes = layer.weight.data, C = slopes.length;
    return { data: x.data.map((v, i) => (v > 0 ? v : v * slopes[i % C])), shape: x.shape };
  }

  function batchNorm(x, layer) {
    return normalize(x, layer, layer.running_mean.data, layer.running_var.data);
  }

  // Every pixel of the output is a copy of the pixel of the input at (row(i), column(j)).
  function copied(x, OH, OW, row, column) {
    const [, W, C] = x.shape, y = make([OH, OW, C]);
    for (let i = 0; i < OH; i++) {
      for (let j = 0; j < OW; j++) {
        const from = (row(i) * W + column(j)) * C;
        y.data.set(x.data.subarray(from, from + C), (i * OW + j) * C);
      }
    }
    return y;
  }

  // Which row is seen at row i of the padded picture: the border itself is not repeated.
  function mirrored(size, padding) {
    const period = Math.max(2 * (size - 1), 1);
    return (i) => {
      const at = (((i - padding) % period) + period) % period;
      return at < size ? at : period - at;
    };
  }

  function reflectionPad(x, { padding: [ph, pw] }) {
    const [H, W] = x.shape;
    return copied(x, H + 2 * ph, W + 2 * pw, mirrored(H, ph), mirrored(W, pw));
  }

  function upsample(x, { scale: [sh, sw] }) {
    const [H, W] = x.shape;
    return copied(x, H * sh, W * sw, (i) => Math.floor(i / sh), (j) => Math.floor(j / sw));
  }

  const each = (f) => (x, layer) => ({ data: x.data.map((v) => f(v, layer)), shape: x.shape });

  const LAYERS = {
    Conv2d: conv,
    ConvTranspose2d: convTranspose,
    BatchNorm2d: batchNorm,
    InstanceNorm2d: instanceNorm,
    GroupNorm: instanceNorm,
    Linear: linear,
    MaxPool2d: pool(-Infinity, Math.max, (v) => v),
    AvgPool2d: pool(0, (sum, v) => sum + v, (sum, count) => sum / count),
    PixelShuffle: pixelShuffle,
    PReLU: prelu,
    ReflectionPad2d: reflectionPad,
    Upsample: upsample,
    ReLU: each((v) => (v > 0 ? v : 0)),
    LeakyReLU: each((v, layer) => (v > 0 ? v : layer.negative_slope * v)),
    Tanh: each((v) => Math.tanh(v)),
    Sigmoid: each((v) => 1 / (1 + Math.exp(-v))),
    Dropout: (x) => x,
    GaussianNoise: (x) => x,
    RandomColor: (x) => x,
    RandomCutout: (x) => x,
    RandomTranslation: (x) => x,
    Reshape: (x, layer) => ({ data: x.data, shape: layer.shape }),
    Flatten: (x) => ({ data: x.data, shape: [x.data.length] }),
    Sequential: run,
    Residual: (x, layer, done) => {
      const y = run(x, layer, done);
      return { data: y.data.map((v, i) => v + x.data[i]), shape: y.shape };
    },
  };

  function run(x, network, done) {
    for (const layer of network.layers) {
      if (!LAYERS[layer.kind]) throw new Error(`no such layer: ${layer.kind}`);
      x = LAYERS[layer.kind](x, layer, done);
      if (done) done();
    }
    return x;
  }

  // Weights come as 32-bit or as 16-bit numbers, in the order in which the layers name them.
  function decoded(buffer, half) {
    if (!half) return new Float32Array(buffer);
    const bits = new Uint16Array(buffer), out = new Float32Array(bits.length);
    for (let i = 0; i < bits.length; i++) {
      const sign = bits[i] & 0x8000 ? -1 : 1, exponent = (bits[i] >> 10) & 31, f = bits[i] & 1023;
      const subnormal = f * 2 ** -24, normal = (1 + f / 1024) * 2 ** (exponent - 15);
      out[i] = sign * (exponent === 0 ? subnormal : exponent < 31 ? normal : f ? NaN : Infinity);
    }
    return out;
  }

  // Put the weights where the layers say they are: {start, shape} becomes {data, shape}.
  function load(network, buffer, half) {
    const weights = decoded(buffer, half);
    const fill = (layer) => {
      for (const value of Object.values(layer)) {
        if (value && value.start !== undefined) {
          value.data = weights.subarray(value.start, value.start + prod(value.shape));
        }
      }
      (layer.layers || []).forEach(fill);
    };
    fill(network);
    return network;
  }

  // What `predict` returns for one sample; `done` is called after each layer.
  const predict = (network, data, shape, done) =>
    run({ data: Float32Array.from(data), shape }, network, done);

  return { load, predict, mirrored };
})();

if (typeof module !== "undefined") module.exports = tinygan;

/**
 * Textbook formulas for two-dimensional windows, written as padded loops over coordinates so that they share nothing with
 * any engine.
 */

export interface Geometry {
  readonly n: number;
  readonly group: number;
  /** Input channels of a group. */
  readonly c: number;
  /** Output channels of a group. */
  readonly m: number;
  readonly input: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
  readonly outputPadding: readonly [number, number];
}

type Pair = readonly [number, number];

/** Extents of a convolution's or pool's output. */
export function convExtents(g: Geometry): Pair {
  const extent = (axis: 0 | 1): number => {
    const padded = g.input[axis] + g.pads[axis] + (axis === 0 ? g.pads[2] : g.pads[3]);
    let places = 0;
    while (places * g.strides[axis] + (g.kernel[axis] - 1) * g.dilations[axis] < padded) places += 1;
    return places;
  };
  return [extent(0), extent(1)];
}

/** Extents of a transposed convolution's output. */
export function transposedExtents(g: Geometry): Pair {
  const reach = (axis: 0 | 1): number =>
    (g.input[axis] - 1) * g.strides[axis] + (g.kernel[axis] - 1) * g.dilations[axis] + 1 + g.outputPadding[axis];
  return [reach(0) - g.pads[0] - g.pads[2], reach(1) - g.pads[1] - g.pads[3]];
}

/** Calls back for every tap of every place: rows and columns of place, tap and the element under it, maybe in the padding. */
function slide(
  g: Geometry,
  [height, width]: Pair,
  visit: (place: Pair, tap: Pair, row: number, column: number) => void,
): void {
  for (let oh = 0; oh < height; oh += 1)
    for (let ow = 0; ow < width; ow += 1)
      for (let kh = 0; kh < g.kernel[0]; kh += 1)
        for (let kw = 0; kw < g.kernel[1]; kw += 1) {
          const row = oh * g.strides[0] + kh * g.dilations[0] - g.pads[0];
          const column = ow * g.strides[1] + kw * g.dilations[1] - g.pads[1];
          visit([oh, ow], [kh, kw], row, column);
        }
}

const inside = (row: number, column: number, [height, width]: Pair): boolean =>
  row >= 0 && row < height && column >= 0 && column < width;

/** Y[n, m, oh, ow] = B[m] + sum over c, kh, kw of X[n, c, ih, iw] W[m, c, kh, kw]. */
export function naiveConv(x: ArrayLike<number>, w: ArrayLike<number>, b: ArrayLike<number>, g: Geometry): number[] {
  const [oh, ow] = convExtents(g);
  const [channels, outputs] = [g.c * g.group, g.m * g.group];
  const y = Array.from({ length: g.n * outputs * oh * ow }, (_, i) => b[Math.floor(i / (oh * ow)) % outputs]!);
  for (let n = 0; n < g.n; n += 1)
    for (let m = 0; m < outputs; m += 1)
      for (let c = 0; c < g.c; c += 1)
        slide(g, [oh, ow], ([pr, pc], [kr, kc], row, column) => {
          if (!inside(row, column, g.input)) return;
          const channel = Math.floor(m / g.m) * g.c + c;
          const element = x[((n * channels + channel) * g.input[0] + row) * g.input[1] + column]!;
          y[((n * outputs + m) * oh + pr) * ow + pc]! +=
            element * w[((m * g.c + c) * g.kernel[0] + kr) * g.kernel[1] + kc]!;
        });
  return y;
}

/** Every element of X[n, c] adds its multiple of W[c, m] to Y[n, m], where the window of the Conv would read it. */
export function naiveConvTranspose(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  b: ArrayLike<number>,
  g: Geometry,
): number[] {
  const out = transposedExtents(g);
  const [channels, outputs] = [g.c * g.group, g.m * g.group];
  const plane = out[0] * out[1];
  const y = Array.from({ length: g.n * outputs * plane }, (_, i) => b[Math.floor(i / plane) % outputs]!);
  for (let n = 0; n < g.n; n += 1)
    for (let c = 0; c < channels; c += 1)
      for (let m = 0; m < g.m; m += 1)
        slide(g, g.input, ([pr, pc], [kr, kc], row, column) => {
          if (!inside(row, column, out)) return;
          const output = Math.floor(c / g.c) * g.m + m;
          const element = x[((n * channels + c) * g.input[0] + pr) * g.input[1] + pc]!;
          y[((n * outputs + output) * out[0] + row) * out[1] + column]! +=
            element * w[((c * g.m + m) * g.kernel[0] + kr) * g.kernel[1] + kc]!;
        });
  return y;
}

/** The elements under each place of a pool, in row-major order of the window, with their positions in X[N, C, H, W]. */
export function naiveWindows(x: ArrayLike<number>, g: Geometry): { at: number; value: number }[][] {
  const [oh, ow] = convExtents(g);
  const windows = Array.from({ length: g.n * g.c * oh * ow }, (): { at: number; value: number }[] => []);
  for (let plane = 0; plane < g.n * g.c; plane += 1)
    slide(g, [oh, ow], ([pr, pc], _, row, column) => {
      if (!inside(row, column, g.input)) return;
      const at = (plane * g.input[0] + row) * g.input[1] + column;
      windows[(plane * oh + pr) * ow + pc]!.push({ at, value: x[at]! });
    });
  return windows;
}

/** dW[m, c, kh, kw] = sum over n, oh, ow of X[n, c, ih, iw] dY[n, m, oh, ow], of one group. */
export function naiveConvWeightGradient(x: ArrayLike<number>, dy: ArrayLike<number>, g: Geometry): number[] {
  const [oh, ow] = convExtents(g);
  const dw = Array.from({ length: g.m * g.c * g.kernel[0] * g.kernel[1] }, () => 0);
  for (let n = 0; n < g.n; n += 1)
    for (let m = 0; m < g.m; m += 1)
      for (let c = 0; c < g.c; c += 1)
        slide(g, [oh, ow], ([pr, pc], [kr, kc], row, column) => {
          if (!inside(row, column, g.input)) return;
          dw[((m * g.c + c) * g.kernel[0] + kr) * g.kernel[1] + kc]! +=
            x[((n * g.c + c) * g.input[0] + row) * g.input[1] + column]! * dy[((n * g.m + m) * oh + pr) * ow + pc]!;
        });
  return dw;
}

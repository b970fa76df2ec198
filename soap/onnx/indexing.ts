/**
 * Strided views. Most layout, broadcast and reduction nodes are one walk over a shape in row-major order with a stride per
 * axis: a broadcast axis has stride 0, a reversed one a negative stride.
 */

/** Elements of a tensor of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Row-major strides, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (const extent of shape.toReversed()) {
    strides.unshift(stride);
    stride *= extent;
  }
  return strides;
}

/** The position in memory of each element of the shape, in row-major order, where axis k steps by `strides[k]`. */
export function positions(shape: readonly number[], strides: readonly number[], start = 0): Int32Array {
  let result = Int32Array.of(start);
  shape.forEach((extent, axis) => {
    const stride = strides[axis]!;
    const wider = new Int32Array(result.length * extent);
    result.forEach((base, i) => {
      for (let k = 0; k < extent; k += 1) wider[i * extent + k] = base + k * stride;
    });
    result = wider;
  });
  return result;
}

/** Elements picked by position. */
export function pick(data: Float64Array, at: Int32Array): Float64Array {
  const picked = new Float64Array(at.length);
  for (let i = 0; i < at.length; i += 1) picked[i] = data[at[i]!]!;
  return picked;
}

/**
 * The shape that shapes broadcast to as numpy has it: they are aligned at the last axis, and an axis of extent 1 is repeated;
 * undefined where they do not fit.
 * Source: https://github.com/onnx/onnx/blob/main/docs/Broadcasting.md
 */
export function broadcastShape(...shapes: readonly (readonly number[])[]): number[] | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = Array.from({ length: rank }, () => 1);
  for (const shape of shapes) {
    for (const [i, extent] of shape.entries()) {
      const axis = rank - shape.length + i;
      if (extent === 1 || extent === result[axis]) continue;
      if (result[axis] !== 1) return undefined;
      result[axis] = extent;
    }
  }
  return result;
}

/** Strides that walk a tensor of `from` as if it had the broadcast shape `to`. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(from).map((stride, axis) => (from[axis] === 1 ? 0 : stride));
  return [...Array.from({ length: to.length - from.length }, () => 0), ...strides];
}

/** An axis counted from the start; undefined where the rank has no such axis. */
export function normalAxis(axis: number, rank: number): number | undefined {
  const normal = axis < 0 ? axis + rank : axis;
  return normal >= 0 && normal < rank ? normal : undefined;
}

/** A box inside a tensor: one half-open interval [start, end) per dimension. */
export type Interval = readonly [start: number, end: number];
export type Region = readonly Interval[];

/** Values of a box of a tensor, row-major: a buffer of kernels, memory, or what stands for it in a plan. */
export interface Boxed<Memory> {
  readonly memory: Memory;
  /** Which box of the whole tensor the memory holds. */
  readonly frame: Region;
}

/** The region that is the whole of a tensor. */
export function wholeRegion(shape: readonly number[]): Region {
  return shape.map((extent): Interval => [0, extent]);
}

/** Extents of a region. */
export function regionShape(region: Region): number[] {
  return region.map(([start, end]) => end - start);
}

/** Number of elements of a region; 1 for a scalar. */
export function regionVolume(region: Region): number {
  let volume = 1;
  for (const [start, end] of region) volume *= end - start;
  return volume;
}

/** The common part of two regions of one tensor, or undefined where they share nothing. */
export function intersect(a: Region, b: Region): Region | undefined {
  const common: Interval[] = [];
  for (let axis = 0; axis < a.length; axis++) {
    const start = Math.max(a[axis]![0], b[axis]![0]);
    const end = Math.min(a[axis]![1], b[axis]![1]);
    if (start >= end) return undefined;
    common.push([start, end]);
  }
  return common;
}

/** Whether two regions of one tensor are the same box. */
export function sameRegion(a: Region, b: Region): boolean {
  return a.length === b.length && a.every(([start, end], axis) => start === b[axis]![0] && end === b[axis]![1]);
}

/** The outermost axis from which on a region is contiguous in the memory of a frame that it lies in. */
export function contiguousFrom(frame: Region, region: Region): number {
  let axis = region.length - 1;
  while (axis > 0 && frame[axis]![0] === region[axis]![0] && frame[axis]![1] === region[axis]![1]) axis--;
  return Math.max(axis, 0);
}

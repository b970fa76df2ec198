import type { Boxed, Region } from '../../soap/region/region.ts';
import { contiguousFrom, regionShape } from '../../soap/region/region.ts';
import type { Addition } from './addition.ts';
import type { TensorBuffer, TensorMemory } from './kernels.ts';

/** A box of a buffer as JavaScript sees it. */
export function onHost({ memory, frame }: Boxed<TensorBuffer>): Boxed<TensorMemory> {
  return { memory: memory.host, frame };
}

/** An axis, or several in a row, along which runs follow each other: elements from one to the next, in each memory. */
interface Repeat {
  readonly count: number;
  readonly sourceStride: number;
  readonly targetStride: number;
}

/** Elements of a run for which views of its memory would cost more than copies of its elements, or more than their additions. */
const [SHORT_COPY, SHORT_SUM] = [48, 128];

/**
 * How a region lies in two memories of one tensor, as runs of elements that are contiguous in both. Worked out once for what is copied in
 * every pass.
 */
export class RegionPath {
  /** Elements of a run. */
  readonly #length: number;
  /** From the outermost on. */
  readonly #repeats: readonly Repeat[];
  readonly #sourceStart: number;
  readonly #targetStart: number;

  /** The region lies inside both frames. */
  constructor(source: Region, target: Region, region: Region) {
    const inner = Math.max(contiguousFrom(source, region), contiguousFrom(target, region));
    const extents = regionShape(region);
    const [sourceStrides, targetStrides] = [stridesOf(source), stridesOf(target)];
    this.#length = extents.slice(inner).reduce((a, b) => a * b, 1);
    this.#repeats = extents
      .slice(0, inner)
      .map((count, axis) => ({ count, sourceStride: sourceStrides[axis]!, targetStride: targetStrides[axis]! }))
      .filter(({ count }) => count > 1)
      .reduce(joined, []);
    this.#sourceStart = startOf(source, region, sourceStrides);
    this.#targetStart = startOf(target, region, targetStrides);
  }

  /** Copies the region. */
  copy(source: TensorMemory, target: TensorMemory): void {
    const length = this.#length;
    if (length < SHORT_COPY && source instanceof Float32Array && target instanceof Float32Array) {
      this.#visit(0, this.#sourceStart, this.#targetStart, (from, to) => {
        for (let k = 0; k < length; k++) target[to + k] = source[from + k]!;
      });
    } else
      this.#visit(0, this.#sourceStart, this.#targetStart, (from, to) => copyRun(source, from, length, target, to));
  }

  /** Adds the region of the source to that of the target. */
  add(source: Float32Array, target: Float32Array, add: Addition): void {
    const length = this.#length;
    this.#visit(0, this.#sourceStart, this.#targetStart, (from, to) => {
      if (length < SHORT_SUM) for (let k = 0; k < length; k++) target[to + k]! += source[from + k]!;
      else add(target.subarray(to, to + length), source.subarray(from, from + length));
    });
  }

  /** Calls for each run, in order, from a repeat on. */
  #visit(depth: number, from: number, to: number, run: (from: number, to: number) => void): void {
    const repeat = this.#repeats[depth];
    if (repeat === undefined) {
      run(from, to);
      return;
    }
    const { count, sourceStride, targetStride } = repeat;
    const isInnermost = depth === this.#repeats.length - 1;
    for (let i = 0; i < count; i++) {
      const [nextFrom, nextTo] = [from + i * sourceStride, to + i * targetStride];
      if (isInnermost) run(nextFrom, nextTo);
      else this.#visit(depth + 1, nextFrom, nextTo, run);
    }
  }
}

/** Copies a region between two memories of one tensor. The region lies inside both frames. */
export function copyRegion(source: Boxed<TensorMemory>, target: Boxed<TensorMemory>, region: Region): void {
  new RegionPath(source.frame, target.frame, region).copy(source.memory, target.memory);
}

/** Adds a repeat inside others; to the one around it where both are one in both memories. */
function joined(repeats: readonly Repeat[], next: Repeat): Repeat[] {
  const last = repeats.at(-1);
  const { count, sourceStride, targetStride } = next;
  if (last?.sourceStride !== count * sourceStride || last.targetStride !== count * targetStride)
    return [...repeats, next];
  return [...repeats.slice(0, -1), { count: last.count * count, sourceStride, targetStride }];
}

function copyRun(source: TensorMemory, start: number, length: number, target: TensorMemory, at: number): void {
  if (source instanceof BigInt64Array) {
    if (target instanceof BigInt64Array) target.set(source.subarray(start, start + length), at);
    else throw new TypeError('internal: int64 values cannot be copied into another element type');
  } else if (target instanceof BigInt64Array) {
    throw new TypeError('internal: other values cannot be copied into int64');
  } else target.set(source.subarray(start, start + length), at);
}

function stridesOf(frame: Region): number[] {
  const extents = regionShape(frame);
  return extents.map((_, axis) => extents.slice(axis + 1).reduce((a, b) => a * b, 1));
}

function startOf(frame: Region, region: Region, strides: readonly number[]): number {
  return region.reduce((sum, [from], axis) => sum + (from - frame[axis]![0]) * strides[axis]!, 0);
}

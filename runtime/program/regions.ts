import type { Boxed, Region } from '../../soap/strategy/region.ts';
import { regionShape } from '../../soap/strategy/region.ts';
import type { Addition } from '../kernels/addition.ts';
import type { TensorBuffer, TensorMemory } from '../kernels/kernels.ts';

/** A box of a buffer as JavaScript sees it. */
export function onHost({ memory, frame }: Boxed<TensorBuffer>): Boxed<TensorMemory> {
  return { memory: memory.host, frame };
}

/** Runs of contiguous elements that a region occupies in the memory of a frame. */
interface Runs {
  readonly length: number;
  /** Start of each run, in order. */
  readonly offsets: Int32Array | Float64Array;
}

const MAX_INT32 = 2 ** 31 - 1;

/** Elements of a run for which views of its memory would cost more than its additions. */
const SHORT_RUN = 128;

/**
 * Copies a region between two memories of one tensor. The region lies inside both frames.
 */
export function copyRegion(source: Boxed<TensorMemory>, target: Boxed<TensorMemory>, region: Region): void {
  const inner = sharedRunAxis(source.frame, target.frame, region);
  const from = runsOf(source.frame, region, inner);
  const to = runsOf(target.frame, region, inner);
  for (let i = 0; i < from.offsets.length; i++) {
    const start = from.offsets[i]!;
    copyRun(source.memory, start, from.length, target.memory, to.offsets[i]!);
  }
}

/** Adds a region of one float32 memory to the same region of another. */
export function addRegion(
  source: Boxed<Float32Array>,
  target: Boxed<Float32Array>,
  region: Region,
  add: Addition,
): void {
  const inner = sharedRunAxis(source.frame, target.frame, region);
  const from = runsOf(source.frame, region, inner);
  const to = runsOf(target.frame, region, inner);
  const [a, b] = [source.memory, target.memory];
  for (let i = 0; i < from.offsets.length; i++) {
    const [start, at] = [from.offsets[i]!, to.offsets[i]!];
    if (from.length < SHORT_RUN) for (let k = 0; k < from.length; k++) b[at + k]! += a[start + k]!;
    else add(b.subarray(at, at + from.length), a.subarray(start, start + from.length));
  }
}

function copyRun(source: TensorMemory, start: number, length: number, target: TensorMemory, at: number): void {
  if (source instanceof BigInt64Array) {
    if (target instanceof BigInt64Array) target.set(source.subarray(start, start + length), at);
    else throw new TypeError('internal: int64 values cannot be copied into another element type');
  } else if (target instanceof BigInt64Array) {
    throw new TypeError('internal: other values cannot be copied into int64');
  } else target.set(source.subarray(start, start + length), at);
}

/** The outermost axis from which on the region is contiguous in both frames. */
function sharedRunAxis(a: Region, b: Region, region: Region): number {
  return Math.max(runAxis(a, region), runAxis(b, region));
}

function runAxis(frame: Region, region: Region): number {
  let axis = region.length - 1;
  while (axis > 0 && covers(frame, region, axis)) axis--;
  return Math.max(axis, 0);
}

function covers(frame: Region, region: Region, axis: number): boolean {
  return frame[axis]![0] === region[axis]![0] && frame[axis]![1] === region[axis]![1];
}

function runsOf(frame: Region, region: Region, inner: number): Runs {
  const extents = regionShape(region);
  const frameExtents = regionShape(frame);
  const strides = frameExtents.map((_, axis) => frameExtents.slice(axis + 1).reduce((a, b) => a * b, 1));
  const start = region.reduce((sum, [from], axis) => sum + (from - frame[axis]![0]) * strides[axis]!, 0);
  let offsets = [start];
  for (let axis = 0; axis < inner; axis++) {
    offsets = offsets.flatMap((offset) =>
      Array.from({ length: extents[axis]! }, (_, k) => offset + k * strides[axis]!),
    );
  }
  // Of a table of embeddings, elements may be more than an int32 counts.
  const isLarge = offsets.at(-1)! > MAX_INT32;
  const length = extents.slice(inner).reduce((a, b) => a * b, 1);
  return { length, offsets: isLarge ? Float64Array.from(offsets) : Int32Array.from(offsets) };
}

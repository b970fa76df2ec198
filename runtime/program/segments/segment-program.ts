import type { BoundKernel, TensorBuffer } from '../../kernels/kernels.ts';
import type { KernelCache } from '../kernel-cache.ts';
import type { Segment } from './cut.ts';
import { mergeStages } from './merge.ts';
import type { Stage } from './stage.ts';
import { readBy } from './stage.ts';

/** A segment as one stage, with its kernel. */
export interface SegmentProgram<Task> extends Segment<Task> {
  readonly stage: Stage;
  readonly kernel: BoundKernel;
}

/**
 * Compiles each segment into one kernel, which writes only what others read: other segments, or whatever reads the memory
 * that `readOutside` holds. Segments of equal graphs share a compiled one.
 */
export function compileSegments<Task>(
  segments: readonly Segment<Task>[],
  kernels: KernelCache,
  readOutside: ReadonlySet<TensorBuffer>,
): SegmentProgram<Task>[] {
  const readers = readersOf(segments);
  return segments.map((segment) => {
    const readByOthers = (memory: TensorBuffer): boolean => {
      const own = readers.get(memory);
      return own !== undefined && (own.size > 1 || !own.has(segment));
    };
    const stages = segment.steps.flatMap((step) => step.stages);
    const stage = mergeStages(stages, (each) => readOutside.has(each) || readByOthers(each));
    return { ...segment, stage, kernel: kernels.get(stage.graph).bind(stage.memory) };
  });
}

function readersOf<Task>(segments: readonly Segment<Task>[]): Map<TensorBuffer, Set<Segment<Task>>> {
  const readers = new Map<TensorBuffer, Set<Segment<Task>>>();
  for (const segment of segments) {
    for (const memory of segment.steps.flatMap(({ stages }) => stages.flatMap(readBy))) {
      readers.set(memory, (readers.get(memory) ?? new Set()).add(segment));
    }
  }
  return readers;
}

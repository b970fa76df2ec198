import type { TensorBuffer } from '../../kernels/kernels.ts';
import type { Segment } from './cut.ts';
import { mergeStages } from './merge.ts';
import type { Stage } from './stage.ts';
import { readBy } from './stage.ts';

/** A segment as one stage. */
export interface MergedSegment<Task> extends Segment<Task> {
  readonly stage: Stage;
}

/**
 * Makes each segment one stage, which writes only what others read: other segments, or whatever reads the memory that
 * `readOutside` holds. Segments of equal work get equal graphs.
 */
export function mergeSegments<Task>(
  segments: readonly Segment<Task>[],
  readOutside: ReadonlySet<TensorBuffer>,
): MergedSegment<Task>[] {
  const readers = readersOf(segments);
  return segments.map((segment) => {
    const readByOthers = (memory: TensorBuffer): boolean => {
      const own = readers.get(memory);
      return own !== undefined && (own.size > 1 || !own.has(segment));
    };
    const stages = segment.steps.flatMap((step) => step.stages);
    return { ...segment, stage: mergeStages(stages, (each) => readOutside.has(each) || readByOthers(each)) };
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

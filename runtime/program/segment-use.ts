import { sameRegion } from '../../soap/region/region.ts';
import type { SegmentUse } from '../../soap/tasks/liveness/spans.ts';
import type { TensorBuffer } from '../kernels/kernels.ts';
import type { ComputeWork } from './compute-step.ts';
import { fillsOf, readAfter } from './compute-step.ts';
import type { MergedSegment } from './segments/merged-segment.ts';

/**
 * The memory that a segment uses. A message that is a buffer as it is may be on its way until the pass is over, so that the buffer
 * is left to it; one that is a region of a buffer is copied when the segment is done.
 * @param readAfterPass what is looked at when the pass is over
 */
export function segmentUse(
  { steps, stage }: MergedSegment<ComputeWork>,
  readAfterPass: ReadonlySet<TensorBuffer>,
): SegmentUse<TensorBuffer> {
  const works = steps.map(({ task }) => task);
  const bound = Object.values(stage.memory);
  const filled = works.flatMap((work) =>
    fillsOf(work).flatMap(({ fill, memory }) => (fill === undefined ? [] : [memory])),
  );
  const sent = works.flatMap(({ outgoing }) => outgoing.filter(isWhole).map(({ from }) => from.memory));
  return {
    uses: [...bound, ...filled, ...works.flatMap(readAfter)],
    leaves: [...sent, ...bound.filter((memory) => readAfterPass.has(memory))],
  };
}

function isWhole({ task, from }: ComputeWork['outgoing'][number]): boolean {
  return sameRegion(task.region, from.frame);
}

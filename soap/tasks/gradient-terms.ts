import type { Graph } from '../graph/graph.ts';
import { sameRegion } from '../region/region.ts';
import type { PlacedPart } from './layout.ts';
import type { ComputeTask, ParameterShard, TaskGraph } from './task-graph.ts';

/** What a part adds to the gradient of a shard: the gradient of an input, or the shard's box of it. */
export interface GradientTerm {
  readonly part: PlacedPart;
  readonly input: number;
  /** Whether the input is the shard, and no more. */
  readonly isWhole: boolean;
}

/**
 * The terms of a shard's gradient on a device, in the order in which they are added up: that of the backward tasks of the plan, so
 * that each is added as it comes. An op that reads the parameter twice has two.
 * @param readers the parts of the device that read the shard
 * @param places of parts in the order of the device's backward tasks: see {@link backwardPlaces}
 */
export function gradientTerms(
  { ops }: Graph,
  { tensor, region }: ParameterShard,
  readers: readonly PlacedPart[],
  places: ReadonlyMap<PlacedPart, number>,
): GradientTerm[] {
  return readers
    .toSorted((a, b) => places.get(a)! - places.get(b)!)
    .flatMap((part) =>
      ops[part.op]!.inputs.flatMap((read, input): GradientTerm[] => {
        const box = part.inputs[input];
        return read === tensor && box !== undefined ? [{ part, input, isWhole: sameRegion(box, region) }] : [];
      }),
    );
}

/**
 * The places of parts in the order in which their backward tasks complete gradients.
 * @param order task ids of a device, as `deviceOrders` has them
 * @param partOf the part of a compute task
 */
export function backwardPlaces(
  { tasks }: TaskGraph,
  order: readonly number[],
  partOf: (task: ComputeTask) => PlacedPart,
): Map<PlacedPart, number> {
  const places = new Map<PlacedPart, number>();
  for (const id of order) {
    const task = tasks[id]!;
    if (task.kind === 'backward' && task.stage === 'main') places.set(partOf(task), places.size);
  }
  return places;
}

import type { CostBasis } from '../cost/cost-source.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { hasBackward, layOut, wantedGradients } from '../tasks/layout.ts';
import { gradientHandling, shardWork } from '../tasks/gradient-work.ts';
import { partWork, regionBytes } from '../tasks/work.ts';
import type { TaskWork } from '../cost/task-work.ts';
import type { PlanningProblem } from '../simulator/evaluate.ts';

/** Which share of the compute time of an iteration rests on what; the three add up to 1. */
export type CostShares = Readonly<Record<CostBasis, number>>;

/** What the durations of a strategy's tasks rest on. */
export function costShares(problem: PlanningProblem, strategy: Strategy): CostShares {
  const { training, cluster, costs } = problem;
  const handling = gradientHandling(training, problem);
  const layout = layOut(training, strategy);
  const sums = { measured: 0, interpolated: 0, roofline: 0 };
  const { accumulationSteps } = training;
  const add = (work: TaskWork, id: number, times: number): void => {
    const device = cluster.devices[id]!;
    sums[costs.basis(work, device)] += times * costs.durationUs(work, device);
  };
  for (const op of layout.graph.ops) {
    const wants = wantedGradients(layout, op);
    for (const part of layout.parts[op.id]!) {
      add(partWork(part, op, 'forward', wants), part.device, accumulationSteps);
      if (hasBackward(layout, part)) add(partWork(part, op, 'backward', wants), part.device, accumulationSteps);
    }
  }
  for (const { devices, region, isTrained } of layout.shards) {
    if (!isTrained) continue;
    const bytes = regionBytes(region);
    for (const device of devices) {
      const isFirst = device === devices[0];
      for (const work of shardWork(bytes, handling, 'earlier', isFirst)) add(work, device, accumulationSteps - 1);
      for (const work of shardWork(bytes, handling, 'last', isFirst)) add(work, device, 1);
    }
  }
  const total = sums.measured + sums.interpolated + sums.roofline;
  const share = (us: number): number => (total === 0 ? 0 : us / total);
  return { measured: share(sums.measured), interpolated: share(sums.interpolated), roofline: share(sums.roofline) };
}

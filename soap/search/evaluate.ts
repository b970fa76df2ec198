import type { Cluster } from '../cluster/cluster.ts';
import type { CostSource } from '../cost/cost-source.ts';
import type { TrainingGraph } from '../graph/loss.ts';
import { simulate } from '../simulator/simulate.ts';
import type { IterationSummary } from '../simulator/summary.ts';
import { summarize } from '../simulator/summary.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { buildTaskGraph } from '../tasks/build.ts';
import { layOut } from '../tasks/layout.ts';
import { deviceMemoryBytes } from '../tasks/memory.ts';

/** What a search is about: a model with its loss, the devices, and what tasks cost on them. */
export interface PlanningProblem {
  readonly training: TrainingGraph;
  readonly cluster: Cluster;
  readonly costs: CostSource;
}

/** What the simulator says of a strategy. */
export interface Prediction extends IterationSummary {
  readonly samplesPerSecond: number;
  /** Of the device that needs most. */
  readonly peakMemoryBytes: number;
  /** Whether every device's share fits into its memory. */
  readonly feasible: boolean;
}

/** Simulates a strategy once. */
export function evaluate(problem: PlanningProblem, strategy: Strategy): Prediction {
  const { training, cluster, costs } = problem;
  const tasks = buildTaskGraph(training, strategy, cluster, costs);
  const summary = summarize(tasks, simulate(tasks));
  const memoryBytes = deviceMemoryBytes(layOut(training, strategy), cluster.devices.length);
  return {
    ...summary,
    samplesPerSecond: batchOf(training) / (summary.iterationMs / 1000),
    peakMemoryBytes: Math.max(...memoryBytes),
    feasible: cluster.devices.every(({ id, memoryBytes: limit }) => memoryBytes[id]! <= limit),
  };
}

/** Samples in one step. */
export function batchOf({ graph }: TrainingGraph): number {
  return graph.tensors[graph.inputs[0]!]!.shape[0]!;
}

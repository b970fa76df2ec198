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

/** A prediction, and what a strategy lacks that does not fit. */
export interface Assessment {
  readonly prediction: Prediction;
  /** Sum over the devices of what they would need beyond what they have; 0 where the strategy is feasible. */
  readonly missingMemoryBytes: number;
}

/** Simulates a strategy once. */
export function evaluate(problem: PlanningProblem, strategy: Strategy): Prediction {
  return assess(problem, strategy).prediction;
}

/** Simulates a strategy once, and says how far it is from fitting into memory. */
export function assess(problem: PlanningProblem, strategy: Strategy): Assessment {
  const { training, cluster, costs } = problem;
  const tasks = buildTaskGraph(training, strategy, cluster, costs);
  const summary = summarize(tasks, simulate(tasks));
  const memoryBytes = deviceMemoryBytes(layOut(training, strategy), cluster.devices.length);
  const missing = cluster.devices.map((device) => Math.max(0, memoryBytes[device.id]! - device.memoryBytes));
  const missingMemoryBytes = missing.reduce((a, b) => a + b, 0);
  return {
    prediction: {
      ...summary,
      samplesPerSecond: batchOf(training) / (summary.iterationMs / 1000),
      peakMemoryBytes: Math.max(...memoryBytes),
      feasible: missingMemoryBytes === 0,
    },
    missingMemoryBytes,
  };
}

/** Samples in one step. */
export function batchOf({ graph }: TrainingGraph): number {
  return graph.tensors[graph.inputs[0]!]!.shape[0]!;
}

import { batchSizeOf } from '../training/batch-size.ts';
import { DeltaSimulation } from './delta/delta-simulation.ts';
import type { NetworkProblem } from './delta/network.ts';
import { StepSimulation } from './delta/step-simulation.ts';
import type { OpTime } from './delta/op-times.ts';
import { opTimes } from './delta/op-times.ts';
import { hostIterationUs, hostOf } from './host/predict.ts';
import { neededMemory } from './needed-memory.ts';
import type { IterationSummary } from './summary.ts';
import type { PlannedSource } from '../plan/plan.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { energyOf } from './energy.ts';

/** What a search is about: a model with its loss, the devices, and what tasks cost on them. */
export interface PlanningProblem extends NetworkProblem {
  /** Where the model comes from, for those who read the plan. */
  readonly source?: PlannedSource;
}

/** What the simulator says of a strategy. */
export interface Prediction extends IterationSummary {
  readonly samplesPerSecond: number;
  /** Of the device that needs most: exactly, or, where it surely fits or there is too much to look at, by an estimate. */
  readonly peakMemoryBytes: number;
  /** Whether it can be executed: every device's share fits into its memory, and every message into one of the wire. */
  readonly feasible: boolean;
  /** What the devices would need beyond what they have, in all. */
  readonly missingMemoryBytes: number;
  /** What messages have beyond what one may have, in all; absent where none is too large. */
  readonly oversizedMessageBytes?: number;
}

/** A strategy with what the simulator says of it. */
export interface Candidate {
  readonly strategy: Strategy;
  readonly prediction: Prediction;
}

/**
 * Simulates a strategy once. Where all devices share one host whose costs are known, the iteration time is that of the host's
 * threads (`simulator/host`): what messages, starts of kernels and shared cores take besides the tasks. The chains of a search
 * do without, for it takes far longer than a step of theirs.
 * @param simulation of the strategy, where there is one already
 * @throws {RangeError} where it is split too finely to be simulated
 */
export function evaluate(
  problem: PlanningProblem,
  strategy: Strategy,
  simulation: StepSimulation = new StepSimulation(problem, strategy),
): Prediction {
  const summary = simulation.describe();
  const { bytes: memoryBytes } = neededMemory(problem, strategy, 'inDoubt', simulation);
  const missingMemoryBytes = missingOf(problem, memoryBytes);
  const { oversizedMessageBytes } = simulation;
  const host = hostOf(problem.cluster, problem.costs);
  const iterationMs = host === undefined ? summary.iterationMs : hostIterationUs(problem, strategy, host) / 1000;
  return {
    ...summary,
    iterationMs,
    samplesPerSecond: batchSizeOf(problem.training) / (iterationMs / 1000),
    peakMemoryBytes: memoryBytes.reduce((most, bytes) => Math.max(most, bytes), 0),
    feasible: missingMemoryBytes + oversizedMessageBytes === 0,
    missingMemoryBytes,
    ...(oversizedMessageBytes > 0 && { oversizedMessageBytes }),
  };
}

/** What candidates are compared by, see {@link energyOf}. */
export function predictedEnergyOf(
  cluster: Cluster,
  { iterationMs, missingMemoryBytes, oversizedMessageBytes = 0 }: Prediction,
): number {
  return energyOf(cluster, { missingMemoryBytes, oversizedMessageBytes, makespanUs: iterationMs * 1000 });
}

/** Whether a strategy can be executed, as a prediction says it. */
export function isFeasible(problem: PlanningProblem, strategy: Strategy): boolean {
  const simulation = new StepSimulation(problem, strategy);
  if (simulation.oversizedMessageBytes > 0) return false;
  return missingOf(problem, neededMemory(problem, strategy, 'inDoubt', simulation).bytes) === 0;
}

/** Bytes that devices need beyond what they have, in all. */
function missingOf({ cluster }: PlanningProblem, memoryBytes: readonly number[]): number {
  return memoryBytes.reduce((sum, bytes, device) => sum + Math.max(0, bytes - cluster.devices[device]!.memoryBytes), 0);
}

/** What each op costs under a strategy in an iteration, over all micro-batches; longest first. */
export function opTimesOf(problem: PlanningProblem, strategy: Strategy): OpTime[] {
  return opTimes(new DeltaSimulation(problem, strategy), problem.training.accumulationSteps);
}

/** The same of one micro-batch, as plan files have it. */
export function microBatchOpTimesOf(problem: PlanningProblem, strategy: Strategy): OpTime[] {
  return opTimes(new DeltaSimulation(problem, strategy), 1);
}

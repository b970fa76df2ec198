import type { Strategy } from '../strategy/strategy.ts';
import type { NetworkProblem } from './delta/network.ts';
import { StepSimulation } from './delta/step-simulation.ts';
import { deviceBytes, programMemory } from './program-memory.ts';

/** What devices need of their memory under a strategy, and how that is known. */
export interface NeededMemory {
  /** By device id. */
  readonly bytes: readonly number[];
  /** Whether it is what the runtime allocates, and its kernels hold inside; else it is estimated. */
  readonly isExact: boolean;
}

/**
 * What every device needs of its memory: exactly, or by an estimate where to look at it would take minutes.
 * @param exact `inDoubt` where an estimate will also do for a strategy that surely fits
 * @param simulation of the strategy, where there is one already
 */
export function neededMemory(
  problem: NetworkProblem,
  strategy: Strategy,
  exact: 'wherePossible' | 'inDoubt' = 'wherePossible',
  simulation: StepSimulation = new StepSimulation(problem, strategy),
): NeededMemory {
  const isExact = exact === 'inDoubt' ? simulation.asksForExactMemory : simulation.allowsExactMemory;
  const bytes = isExact ? programMemory(problem, strategy).map(deviceBytes) : Array.from(simulation.reusingMemoryBytes);
  return { bytes, isExact };
}

/**
 * A prediction beside what each device needs, so that both say the same: where a strategy surely fits, the prediction's own number is
 * an estimate.
 */
export function withNeeded<T extends { readonly peakMemoryBytes: number }>(
  prediction: T,
  devices: readonly { readonly neededBytes: number }[],
): T {
  return { ...prediction, peakMemoryBytes: devices.reduce((most, { neededBytes }) => Math.max(most, neededBytes), 0) };
}

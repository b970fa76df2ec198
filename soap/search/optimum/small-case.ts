import { opDimensions } from '../../ops/index.ts';
import type { Dimension } from '../../ops/op.ts';
import { wiringOf } from '../../simulator/delta/wiring.ts';
import { partsOf } from '../../strategy/partition.ts';
import type { Candidate, PlanningProblem } from '../../simulator/evaluate.ts';
import { findOptimum } from './find-optimum.ts';
import { degreesUpTo } from './placements.ts';
import type { SpaceOptions } from './space.ts';
import { leadersOf } from './space.ts';

/** Spaces that are tried in turn: one part of an op a device, on any of the devices; ops free, or layer by layer. */
const SPACES: readonly SpaceOptions[] = [
  { devices: 'sets', partsPerDevice: 1, followers: false },
  { devices: 'sets', partsPerDevice: 1, followers: true },
];

/** Strategies, and choices of one op, beyond which a space is not looked at: its bounds alone would take seconds. */
const MAX_STRATEGIES = 1e9;
const MAX_CHOICES = 1000;

/** Effort after which it is given up: about half a second. */
const MAX_EFFORT = 70_000;

/**
 * The proven optimum of a small case, as the paper's section 8.4 has it for LeNet and RNNLM: the fastest strategy that fits,
 * of the first of some spaces that can be searched to the end in about half a second. Undefined where none can, or nothing in
 * it is faster than asked; so it depends on the problem alone. Its bounds are of one iteration: where a step has several, it is
 * undefined.
 */
export function smallCaseOptimum(problem: PlanningProblem, belowMs: number): Candidate | undefined {
  if (problem.training.accumulationSteps > 1) return undefined;
  for (const space of SPACES) {
    if (!isSmall(problem, space)) continue;
    const { best, proven } = findOptimum(problem, space, { belowMs, mostEffort: MAX_EFFORT });
    if (proven) return best;
  }
  return undefined;
}

/** Judged without listing the choices, of which there may be more than memory holds. */
function isSmall({ training, cluster }: PlanningProblem, { followers }: SpaceOptions): boolean {
  const { graph } = training;
  const leaders = followers ? new Set(leadersOf(wiringOf(training))) : new Set(graph.ops.keys());
  let strategies = 1;
  for (const leader of leaders) {
    const choices = choiceCount(opDimensions(graph, graph.ops[leader]!), cluster.devices.length);
    strategies *= choices;
    if (choices > MAX_CHOICES || strategies > MAX_STRATEGIES) return false;
  }
  return true;
}

/** Degrees, each on every set of as many devices. */
function choiceCount(dimensions: readonly Dimension[], deviceCount: number): number {
  return degreesUpTo(dimensions, deviceCount).reduce(
    (sum, degrees) => sum + binomial(deviceCount, partsOf(degrees)),
    0,
  );
}

function binomial(n: number, k: number): number {
  let ways = 1;
  for (let i = 0; i < k; i++) ways = (ways * (n - i)) / (i + 1);
  return ways;
}

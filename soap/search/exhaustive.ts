import { opDimensions } from '../ops/index.ts';
import type { Graph, Op } from '../graph/graph.ts';
import { divisorsUpTo } from '../strategy/divisors.ts';
import type { OpConfig } from '../strategy/strategy.ts';
import type { PlanningProblem } from './evaluate.ts';
import { evaluate } from './evaluate.ts';
import type { Candidate } from './starts.ts';

/** Strategies that an exhaustive search looks at, at most: minutes of work. */
const MAX_STRATEGIES = 1_000_000;

/**
 * The fastest feasible of all strategies that a search can propose, by trying every one; undefined where none is feasible.
 * @throws {RangeError} where there are too many
 */
export function searchExhaustively(problem: PlanningProblem): Candidate | undefined {
  const { training, cluster } = problem;
  const choices = training.graph.ops.map((op) => opConfigs(training.graph, op, cluster.devices.length));
  const count = choices.reduce((product, configs) => product * configs.length, 1);
  if (count > MAX_STRATEGIES) {
    throw new RangeError(
      `there are ${count} strategies; expected at most ${MAX_STRATEGIES}: take a smaller model or fewer devices`,
    );
  }
  let best: Candidate | undefined;
  for (let index = 0; index < count; index++) {
    const strategy = { configs: numbered(choices, index) };
    const prediction = evaluate(problem, strategy);
    if (!prediction.feasible || prediction.iterationMs >= (best?.prediction.iterationMs ?? Infinity)) continue;
    best = { strategy, prediction };
  }
  return best;
}

/** Every configuration of an op with at most as many parts as devices. */
export function opConfigs(graph: Graph, op: Op, devices: number): OpConfig[] {
  const degreesOf = opDimensions(graph, op).map(({ size }) => divisorsUpTo(size, devices));
  return product(degreesOf).flatMap((degrees) => {
    const parts = degrees.reduce((a, b) => a * b, 1);
    if (parts > devices) return [];
    const anyDevice = Array.from({ length: devices }, (_, device) => device);
    return product(Array.from({ length: parts }, () => anyDevice)).map((placed) => ({ degrees, devices: placed }));
  });
}

/** One of each list, numbered like digits; the first list is the least significant. */
function numbered(choices: readonly (readonly OpConfig[])[], index: number): OpConfig[] {
  let rest = index;
  return choices.map((configs) => {
    const config = configs[rest % configs.length]!;
    rest = Math.floor(rest / configs.length);
    return config;
  });
}

/** All ways to take one of each list. */
function product(lists: readonly (readonly number[])[]): number[][] {
  return lists.reduce<number[][]>(
    (rows, values) => rows.flatMap((row) => values.map((value) => [...row, value])),
    [[]],
  );
}

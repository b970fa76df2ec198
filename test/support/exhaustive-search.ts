import { opDimensions } from '../../soap/ops/index.ts';
import type { Graph, Op } from '../../soap/graph/graph.ts';
import { divisorsUpTo } from '../../soap/region/divisors.ts';
import type { OpConfig } from '../../soap/strategy/strategy.ts';
import type { Candidate, PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';

/**
 * The fastest feasible of all strategies that a search can propose with one part a device at most, by trying every one;
 * undefined where none is feasible.
 */
export function searchExhaustively(problem: PlanningProblem): Candidate | undefined {
  const { training, cluster } = problem;
  const choices = training.graph.ops.map((op) => opConfigs(training.graph, op, cluster.devices.length));
  const count = choices.reduce((product, configs) => product * configs.length, 1);
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

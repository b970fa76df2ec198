import { wiringOf } from '../../simulator/delta/wiring.ts';
import type { Wiring } from '../../simulator/delta/wiring.ts';
import { partsOf } from '../../strategy/partition.ts';
import type { OpConfig, Strategy } from '../../strategy/strategy.ts';
import { deviceClasses, OpGeometries } from '../../tasks/geometry/op-geometry.ts';
import type { PlanningProblem } from '../../simulator/evaluate.ts';
import { costTables } from './cost-tables.ts';
import { planElimination, solveByElimination } from './elimination.ts';
import type { Unit } from './units.ts';
import { unitsOf } from './units.ts';

/**
 * What one look costs, in nanoseconds on one core: at two parts of an edge, at a sum of the elimination, and at making a part
 * of an op. Measured on an AMD EPYC core, rounded up; they only decide where the baseline is left out.
 */
const [PAIR_NS, SUM_NS, PART_NS] = [20, 2, 15_000];

/** Work beyond which the baseline is left out: about two seconds. */
const MAX_WORK_NS = 2e9;

/**
 * OptCNN's strategy (Jia et al. 2018): the best one under an additive cost, exactly, by node and edge elimination. Each op
 * takes any degrees of its sample, attribute and parameter dimensions, with part p on device p. Memory is not considered.
 * Undefined where the graph does not reduce to a few nodes, where ops share parameters but cannot be split alike, and where
 * it would be too much work; so it depends on the problem alone, unless less work is asked for.
 * @param mostMs about as long as it may take
 */
export function optcnnStrategy(problem: PlanningProblem, mostMs: number = Infinity): Strategy | undefined {
  const { training, cluster, costs } = problem;
  const wiring = wiringOf(training);
  const geometries = new OpGeometries(training.graph, costs, deviceClasses(cluster.devices));
  const units = unitsOf(training.graph, wiring.parameters, (op) => geometries.dimensions(op), cluster.devices.length);
  if (units === undefined) return undefined;
  const unitOf = unitByOp(units);
  const pairs = wiring.edges
    .map(({ producer, consumer }) => ({ a: unitOf.get(producer)!, b: unitOf.get(consumer)! }))
    .filter(({ a, b }) => a !== b);
  const plan = planElimination(
    units.map(({ choices }) => choices.length),
    pairs,
  );
  const mostNs = Math.min(mostMs * 1e6, MAX_WORK_NS);
  if (plan === undefined || plan.work * SUM_NS + tableWorkNs(wiring, geometries, units) > mostNs) return undefined;
  const { choices } = solveByElimination(costTables(problem, wiring, geometries, units), plan);
  const configs = training.graph.ops.map(({ id }): OpConfig => {
    const unit = unitOf.get(id)!;
    const degrees = units[unit]!.choices[choices[unit]!]!;
    return { degrees, devices: Array.from({ length: partsOf(degrees) }, (_, part) => part) };
  });
  return { configs };
}

function unitByOp(units: readonly Unit[]): ReadonlyMap<number, number> {
  return new Map(units.flatMap(({ ops }, unit) => ops.map((op) => [op, unit] as const)));
}

/** Nanoseconds that the cost tables take; what is alike counts once. */
function tableWorkNs(wiring: Wiring, geometries: OpGeometries, units: readonly Unit[]): number {
  const partsByOp = new Map<number, number>();
  for (const { ops, choices } of units) {
    const parts = choices.reduce((sum, degrees) => sum + partsOf(degrees), 0);
    for (const op of ops) partsByOp.set(op, parts);
  }
  const work = new Map<string, number>();
  for (const [op, parts] of partsByOp) work.set(`${geometries.classOf(op)}`, parts * PART_NS);
  for (const { producer, output, consumer, input } of wiring.edges) {
    const key = [geometries.classOf(producer), output, geometries.classOf(consumer), input].join();
    work.set(key, partsByOp.get(producer)! * partsByOp.get(consumer)! * PAIR_NS);
  }
  return [...work.values()].reduce((sum, ns) => sum + ns, 0);
}

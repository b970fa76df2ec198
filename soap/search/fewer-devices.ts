import type { Cluster, Device } from '../cluster/cluster.ts';
import type { Graph } from '../graph/graph.ts';
import { StepSimulation } from '../simulator/delta/step-simulation.ts';
import { dataParallel } from '../baselines/index.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { energyOf } from '../simulator/energy.ts';
import type { PlanningProblem } from '../simulator/evaluate.ts';

/** Numbers of devices in a row that are slower than fewer, after which more are not tried: one alone may be where a node ends. */
const SLOWER_IN_A_ROW = 2;

/**
 * Data parallelism on as many devices as are fastest: 1, 2, 4 and so on, or all of one speed, the fastest first. Beyond some
 * number, more devices only wait for each other, or all for the slowest; a chain that begins with all of them finds the way back
 * op by op, if at all. Undefined where none can be simulated.
 * @param isTimeUp whether to end with the fastest so far, once there is one
 */
export function onFewerDevices(problem: PlanningProblem, isTimeUp: () => boolean = () => false): Strategy | undefined {
  const { training, cluster } = problem;
  let [best, bestMs, slower]: [Strategy | undefined, number, number] = [undefined, Infinity, 0];
  for (const strategy of strategiesOf(training.graph, cluster)) {
    const ms = energyOrInfinity(problem, strategy);
    if (ms < bestMs) [best, bestMs, slower] = [strategy, ms, 0];
    else slower += 1;
    if (slower === SLOWER_IN_A_ROW || (best !== undefined && isTimeUp())) break;
  }
  return best;
}

/** Fewest devices first, each number of parts once. */
function* strategiesOf(graph: Graph, cluster: Cluster): Generator<Strategy> {
  const devices = fastestFirst(cluster);
  const tried = new Set<number>();
  for (const count of countsOf(devices)) {
    const strategy = dataParallel(graph, cluster, idsOf(devices.slice(0, count)));
    const used = new Set(strategy.configs.flatMap((config) => config.devices)).size;
    if (tried.has(used)) continue;
    tried.add(used);
    yield strategy;
  }
}

/** Powers of two, and where devices of another speed begin. */
function countsOf(devices: readonly Device[]): number[] {
  const ends = devices.flatMap(({ flopsPerSec }, i) => (devices[i + 1]?.flopsPerSec === flopsPerSec ? [] : [i + 1]));
  const powers = Array.from({ length: Math.floor(Math.log2(devices.length)) + 1 }, (_, i) => 2 ** i);
  return [...new Set([...powers, ...ends])].sort((a, b) => a - b);
}

/** Devices of a node stay together. */
function fastestFirst({ devices }: Cluster): Device[] {
  const nodes = [...Map.groupBy(devices, ({ node }) => node).values()];
  const slowest = (node: readonly Device[]): number => Math.min(...node.map(({ flopsPerSec }) => flopsPerSec));
  return nodes.toSorted((a, b) => slowest(b) - slowest(a)).flat();
}

function idsOf(devices: readonly Device[]): number[] {
  return devices.map(({ id }) => id);
}

function energyOrInfinity(problem: PlanningProblem, strategy: Strategy): number {
  try {
    return energyOf(problem.cluster, new StepSimulation(problem, strategy));
  } catch (error) {
    // Too fine to be simulated.
    if (error instanceof RangeError) return Infinity;
    throw error;
  }
}

import type { Cluster } from '../cluster/cluster.ts';
import type { Graph, Op } from '../graph/graph.ts';
import { opDimensions } from '../ops/index.ts';
import type { Random } from '../random.ts';
import { shuffled } from '../random.ts';
import { divisorsUpTo } from '../region/divisors.ts';
import type { OpConfig, Strategy } from './strategy.ts';
import { partsOf } from './partition.ts';

/** A strategy with every op's configuration drawn by {@link randomConfig}. */
export function randomStrategy(graph: Graph, cluster: Cluster, random: Random): Strategy {
  return { configs: graph.ops.map((op) => randomConfig(graph, op, cluster, random)) };
}

/**
 * Draws a configuration for an op, independent of its present one. Dimensions are visited in random order; each takes a
 * divisor of its size that the devices left allow. Devices are, with equal chance, neighbours (which share the fastest
 * links), equally spaced ones (one of each node, say), or any.
 *
 * So some configurations are drawn more often than others: else regular placements would drown among the many more irregular ones.
 * Strategies that are checked or measured are drawn so; the chains of a search draw by `search/prior.ts`.
 */
export function randomConfig(graph: Graph, op: Op, cluster: Cluster, random: Random): OpConfig {
  const dimensions = opDimensions(graph, op);
  const degrees = dimensions.map(() => 1);
  let left = cluster.devices.length;
  for (const index of shuffled(dimensions.length, random)) {
    const choices = divisorsUpTo(dimensions[index]!.size, left);
    degrees[index] = choices[random.integer(choices.length)]!;
    left = Math.floor(left / degrees[index]);
  }
  const parts = partsOf(degrees);
  return { degrees, devices: randomDevices(parts, cluster.devices.length, random) };
}

function randomDevices(parts: number, devices: number, random: Random): number[] {
  const pattern = random.integer(3);
  if (pattern === 2) return Array.from({ length: parts }, () => random.integer(devices));
  const stride = pattern === 0 ? 1 : Math.max(1, Math.floor(devices / parts));
  const first = random.integer(devices);
  return Array.from({ length: parts }, (_, part) => (first + part * stride) % devices);
}

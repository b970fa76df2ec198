import type { Cluster } from '../cluster/cluster.ts';
import type { Graph } from '../graph/graph.ts';
import { opDimensions } from '../ops/index.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { sampleConfig } from './configs.ts';
import { allDevices } from './nodes.ts';

/**
 * Data parallelism: every op split by sample over all devices, or over as many as divide the batch.
 * @param devices ids of those to use, in place of all
 */
export function dataParallel(
  graph: Graph,
  cluster: Cluster,
  devices: readonly number[] = allDevices(cluster),
): Strategy {
  return { configs: graph.ops.map((op) => sampleConfig(opDimensions(graph, op), devices)) };
}

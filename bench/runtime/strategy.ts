import type { Cluster } from '../../soap/cluster/cluster.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { dataParallel, singleDevice } from '../../soap/strategy/baselines/index.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';

/** What is held against PyTorch: one device, or data parallelism as DDP has it. */
export function strategyOf(graph: Graph, cluster: Cluster): Strategy {
  return cluster.devices.length === 1 ? singleDevice(graph) : dataParallel(graph, cluster);
}

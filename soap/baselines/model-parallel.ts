import type { Cluster } from '../cluster/cluster.ts';
import type { Graph } from '../graph/graph.ts';
import type { OpConfig, Strategy } from '../strategy/strategy.ts';
import { assignConfigs } from './assign.ts';
import { cutConfig, wholeConfig } from './configs.ts';
import { allDevices } from './nodes.ts';

/**
 * Model parallelism: ops split their parameters over all devices. Parameters that cannot be split go whole to the devices in
 * turn, with all ops that read them. Ops without parameters follow what they read, so that nothing moves.
 */
export function modelParallel(graph: Graph, cluster: Cluster): Strategy {
  const devices = allDevices(cluster);
  /** By tensor id. */
  const homes = new Map<number, number>();
  return assignConfigs(graph, ({ op, dimensions, follow }): OpConfig => {
    const parameter = op.inputs.find((tensor) => graph.tensors[tensor]!.role === 'parameter');
    const index = dimensions.findIndex(({ kind, size }) => kind === 'parameter' && size > 1);
    if (index >= 0) return cutConfig(dimensions, index, devices);
    if (parameter === undefined) return follow() ?? wholeConfig(dimensions, devices[0]!);
    const home = homes.get(parameter) ?? devices[homes.size % devices.length]!;
    homes.set(parameter, home);
    return wholeConfig(dimensions, home);
  });
}

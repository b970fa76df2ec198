import type { Cluster } from '../../cluster/cluster.ts';
import type { Graph } from '../../graph/graph.ts';
import type { OpConfig, Strategy } from '../strategy.ts';
import { assignConfigs } from './assign.ts';
import { cutConfig, sampleConfig } from './configs.ts';
import { allDevices } from './nodes.ts';

/**
 * Linear layers by parameter, convolutions and all others that have parameters by sample; those without follow what they read.
 * Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.
 */
export function convolutionalExpert(graph: Graph, cluster: Cluster): Strategy {
  const devices = allDevices(cluster);
  return assignConfigs(graph, ({ op, dimensions, follow }): OpConfig => {
    if (op.kind === 'linear') {
      const channel = dimensions.findIndex(({ kind }) => kind === 'parameter');
      return cutConfig(dimensions, channel, devices);
    }
    const hasParameters = op.inputs.some((tensor) => graph.tensors[tensor]!.role === 'parameter');
    return (hasParameters ? undefined : follow()) ?? sampleConfig(dimensions, devices);
  });
}

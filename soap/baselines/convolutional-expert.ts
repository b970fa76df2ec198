import type { Cluster } from '../cluster/cluster.ts';
import type { Graph } from '../graph/graph.ts';
import type { OpConfig, Strategy } from '../strategy/strategy.ts';
import { assignConfigs } from './assign.ts';
import { nodeGridConfig, sampleConfig } from './configs.ts';
import { allDevices, devicesByNode } from './nodes.ts';

/**
 * Linear layers by parameter, convolutions and all others that have parameters by sample; those without follow what they read.
 * Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, which is about the GPUs of one
 * machine. Linear layers are on each node once, with its share of the samples.
 */
export function convolutionalExpert(graph: Graph, cluster: Cluster): Strategy {
  const devices = allDevices(cluster);
  const size = Math.min(...devicesByNode(cluster).map(({ length }) => length));
  const nodes = devicesByNode(cluster).map((ids) => ids.slice(0, size));
  return assignConfigs(graph, ({ op, dimensions, follow }): OpConfig => {
    if (op.kind === 'linear') {
      const channel = dimensions.findIndex(({ kind }) => kind === 'parameter');
      return nodeGridConfig(dimensions, channel, nodes);
    }
    const hasParameters = op.inputs.some((tensor) => graph.tensors[tensor]!.role === 'parameter');
    return (hasParameters ? undefined : follow()) ?? sampleConfig(dimensions, devices);
  });
}

import type { Cluster } from '../cluster/cluster.ts';
import type { Graph, Op } from '../graph/graph.ts';
import { opDimensions } from '../ops/index.ts';
import type { Dimension } from '../ops/op.ts';
import { largestDivisor } from './divisors.ts';
import type { OpConfig, Strategy } from './strategy.ts';

/** Every op in one part on the first device. */
export function singleDevice(graph: Graph): Strategy {
  return { configs: graph.ops.map((op) => ({ degrees: opDimensions(graph, op).map(() => 1), devices: [0] })) };
}

/** Data parallelism: every op split by sample over all devices, or over as many as divide the batch. */
export function dataParallel(graph: Graph, cluster: Cluster): Strategy {
  return { configs: graph.ops.map((op) => splitAlong(opDimensions(graph, op), 'sample', cluster)) };
}

/**
 * Model parallelism: ops with parameters split them over all devices where a dimension allows; the others follow the op
 * that feeds them, in one part.
 */
export function modelParallel(graph: Graph, cluster: Cluster): Strategy {
  return { configs: graph.ops.map((op) => splitAlong(opDimensions(graph, op), 'parameter', cluster)) };
}

/**
 * The expert strategy for convolutional networks: convolutions and what follows them by sample, linear layers by
 * parameter. Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.
 */
export function expertStrategy(graph: Graph, cluster: Cluster): Strategy {
  const kindOf = (op: Op): Dimension['kind'] => (op.kind === 'linear' ? 'parameter' : 'sample');
  return { configs: graph.ops.map((op) => splitAlong(opDimensions(graph, op), kindOf(op), cluster)) };
}

/** Splits the first dimension of a kind as far as the cluster goes; one part on device 0 where there is none. */
function splitAlong(dimensions: readonly Dimension[], kind: Dimension['kind'], { devices }: Cluster): OpConfig {
  const at = dimensions.findIndex((dimension) => dimension.kind === kind);
  const degree = at < 0 ? 1 : largestDivisor(dimensions[at]!.size, devices.length);
  return {
    degrees: dimensions.map((_, index) => (index === at ? degree : 1)),
    devices: Array.from({ length: degree }, (_, part) => part),
  };
}

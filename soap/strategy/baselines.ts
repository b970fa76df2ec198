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
  return {
    configs: graph.ops.map((op) => {
      const dimensions = opDimensions(graph, op);
      return configOf(dimensions, splitBy(dimensions, 'sample', cluster));
    }),
  };
}

/**
 * Model parallelism: ops with parameters split them over all devices. The others follow the split of what they read, where
 * they have that dimension, so that nothing moves; else they are one part.
 */
export function modelParallel(graph: Graph, cluster: Cluster): Strategy {
  return splitOrFollow(graph, cluster, () => 'parameter', undefined);
}

/**
 * The expert strategy for convolutional networks: convolutions by sample, linear layers by parameter, and the others as what
 * they read. Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.
 */
export function expertStrategy(graph: Graph, cluster: Cluster): Strategy {
  return splitOrFollow(graph, cluster, ({ kind }) => (kind === 'linear' ? 'parameter' : 'sample'), 'sample');
}

/**
 * Splits ops with parameters along the kind of dimension chosen for them, and lets the others follow.
 * @param otherwise how an op is split that cannot follow; undefined: not at all
 */
function splitOrFollow(
  graph: Graph,
  cluster: Cluster,
  kindFor: (op: Op) => Dimension['kind'],
  otherwise: Dimension['kind'] | undefined,
): Strategy {
  const producers = new Map(graph.ops.flatMap((op) => op.outputs.map((tensor) => [tensor, op.id])));
  const configs: OpConfig[] = [];
  const splits: (Split | undefined)[] = [];
  for (const op of graph.ops) {
    const dimensions = opDimensions(graph, op);
    const producer = op.inputs.map((tensor) => producers.get(tensor)).find((id) => id !== undefined);
    const split = dimensions.some(({ kind }) => kind === 'parameter')
      ? splitBy(dimensions, kindFor(op), cluster)
      : (following(dimensions, producer === undefined ? undefined : splits[producer]) ??
        (otherwise === undefined ? undefined : splitBy(dimensions, otherwise, cluster)));
    splits.push(split);
    configs.push(configOf(dimensions, split));
  }
  return { configs };
}

/** A cut of one axis of an op's output into so many parts. */
interface Split {
  readonly axis: number;
  readonly degree: number;
}

/** The first dimension of a kind, cut as far as the cluster goes. */
function splitBy(dimensions: readonly Dimension[], kind: Dimension['kind'], { devices }: Cluster): Split | undefined {
  const dimension = dimensions.find((candidate) => candidate.kind === kind);
  if (dimension?.axis === undefined) return undefined;
  return { axis: dimension.axis, degree: largestDivisor(dimension.size, devices.length) };
}

/** The same cut for an op that reads what is cut so, where it can be. */
function following(dimensions: readonly Dimension[], split: Split | undefined): Split | undefined {
  if (split === undefined) return undefined;
  const dimension = dimensions.find(({ axis }) => axis === split.axis);
  return dimension !== undefined && dimension.size % split.degree === 0 ? split : undefined;
}

/** One part per device from device 0 on. */
function configOf(dimensions: readonly Dimension[], { axis, degree }: Split = { axis: -1, degree: 1 }): OpConfig {
  return {
    degrees: dimensions.map((dimension) => (dimension.axis === axis ? degree : 1)),
    devices: Array.from({ length: degree }, (_, part) => part),
  };
}

import type { Cluster } from '../cluster/cluster.ts';
import type { Graph, Op } from '../graph/graph.ts';
import { opDefinition, opDimensions } from '../ops/index.ts';
import { wholePart } from '../ops/kernel.ts';
import { producersOf } from '../tasks/layout.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { nodeGridConfig, sampleConfig } from './configs.ts';
import { devicesByNode } from './nodes.ts';
import { isLoss, outputLayers } from './output-layers.ts';

const RECURRENT_KINDS: readonly string[] = ['lstm', 'gru', 'rnn'];

/** Which of a recurrent op's inputs comes from the layer below; the others are states and weights. */
const X = 0;

/** Whether an op is some steps of a recurrent layer. */
export function isRecurrent({ kind }: Op): boolean {
  return RECURRENT_KINDS.includes(kind);
}

/**
 * The layout of GNMT: inside each node, ops of the same depth are on the same GPU, one recurrent layer a GPU, the embeddings
 * with the first, attention and softmax after the last; where there are more depths than GPUs, neighbouring ones share a GPU
 * so that the busiest does least. Where it makes the busiest do less, the output layer is split by vocabulary over all GPUs of
 * a node, with its softmax. Data parallel over the nodes.
 * Sources: Wu et al., "Google's neural machine translation system", 2016, section 3, the split softmax in 3.3; FlexFlow paper,
 * section 8.2.1.
 */
export function recurrentExpert(graph: Graph, cluster: Cluster): Strategy {
  const gpus = Math.min(...devicesByNode(cluster).map(({ length }) => length));
  const nodes = devicesByNode(cluster).map((devices) => devices.slice(0, gpus));
  const depths = depthsOf(graph);
  const work = graph.ops.map((op) => opDefinition(op.kind).forwardFlops(wholePart(graph, op)));
  const { split, gpuOfDepth } = layOutDepths(graph, depths, work, gpus);
  return {
    configs: graph.ops.map((op) => {
      const dimensions = opDimensions(graph, op);
      const vocabulary = split.has(op.id) ? dimensions.findIndex(({ name }) => VOCABULARY.has(name)) : -1;
      if (vocabulary >= 0) return nodeGridConfig(dimensions, vocabulary, nodes);
      const gpu = gpuOfDepth[depths[op.id]!]!;
      return sampleConfig(
        dimensions,
        nodes.map((devices) => devices[gpu]!),
      );
    }),
  };
}

/** What output layers and losses call the dimension of the vocabulary. */
const VOCABULARY = new Set(['channel', 'class']);

/** How much less the busiest GPU has to do where splitting the output layer is worth its messages. */
const LEAST_GAIN = 0.1;

/** The GPU of each depth, and the ids of ops that are split over all GPUs instead: the output layer and the loss, or none. */
function layOutDepths(
  graph: Graph,
  depths: readonly number[],
  work: readonly number[],
  gpus: number,
): { readonly split: ReadonlySet<number>; readonly gpuOfDepth: readonly number[] } {
  const none = new Set<number>();
  const heads = new Set([...outputLayers(graph), ...graph.ops.flatMap((op) => (isLoss(graph, op) ? [op.id] : []))]);
  const [whole, without] = [none, heads].map((split) => {
    const byDepth = workByDepth(depths, work, split);
    const gpuOfDepth = dealOut(byDepth, gpus);
    const loads = Array.from({ length: gpus }, () => 0);
    for (const [depth, amount] of byDepth.entries()) loads[gpuOfDepth[depth]!]! += amount;
    return { split, gpuOfDepth, busiest: Math.max(...loads) };
  });
  const atHeads = [...heads].reduce((sum, id) => sum + work[id]!, 0);
  const pays = without!.busiest + atHeads / gpus < (1 - LEAST_GAIN) * whole!.busiest;
  return pays ? without! : whole!;
}

/** By op id: 0 for the first recurrent layer and what it reads, 1 for the next, ..., one more for what follows the last. */
function depthsOf(graph: Graph): number[] {
  const producers = producersOf(graph);
  const feedsRecurrent = opsThatFeedRecurrent(graph);
  const hasParameters = ({ inputs }: Op): boolean => inputs.some((id) => graph.tensors[id]!.role === 'parameter');
  /** Recurrent layers up to an op, itself included. */
  const layers: number[] = [];
  const isHead: boolean[] = [];
  for (const op of graph.ops) {
    const sources = (isRecurrent(op) ? [op.inputs[X]!] : op.inputs).flatMap((id) => producers[id]?.op.id ?? []);
    const below = Math.max(0, ...sources.map((source) => layers[source]!));
    layers.push(isRecurrent(op) ? below + 1 : below);
    const computes = op.kind === 'attention' || hasParameters(op) || sources.some((source) => isHead[source]);
    isHead.push(!isRecurrent(op) && !feedsRecurrent[op.id]! && below > 0 && computes);
  }
  const last = Math.max(...layers);
  return graph.ops.map(({ id }) => (isHead[id] ? last : Math.max(0, layers[id]! - 1)));
}

function opsThatFeedRecurrent(graph: Graph): boolean[] {
  const producers = producersOf(graph);
  const feeds = graph.ops.map(() => false);
  for (const op of graph.ops.toReversed()) {
    if (!isRecurrent(op) && !feeds[op.id]) continue;
    for (const tensor of op.inputs) {
      const source = producers[tensor];
      if (source !== undefined) feeds[source.op.id] = true;
    }
  }
  return feeds;
}

/** Floating point operations of the forward pass by depth, without ops that are on all GPUs. */
function workByDepth(depths: readonly number[], work: readonly number[], split: ReadonlySet<number>): number[] {
  const sums = Array.from({ length: Math.max(...depths) + 1 }, () => 0);
  for (const [id, amount] of work.entries()) if (!split.has(id)) sums[depths[id]!]! += amount;
  return sums;
}

/** Which of so many GPUs has each depth: neighbours share one where there are too few, and the busiest has least to do. */
function dealOut(work: readonly number[], gpus: number): number[] {
  if (work.length <= gpus) return work.map((_, depth) => depth);
  let [low, high] = [Math.max(...work), work.reduce((a, b) => a + b, 0)];
  // Halving finds the least capacity to within rounding: 60 times.
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (filled(work, middle).at(-1)! < gpus) high = middle;
    else low = middle;
  }
  return filled(work, high);
}

/** Fills GPUs one after the other, each up to a capacity. */
function filled(work: readonly number[], capacity: number): number[] {
  let [gpu, load] = [0, 0];
  return work.map((amount) => {
    if (load > 0 && load + amount > capacity) [gpu, load] = [gpu + 1, 0];
    load += amount;
    return gpu;
  });
}

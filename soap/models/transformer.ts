import type { GraphBuilder } from '../training/builder.ts';
import { dropped, fullyConnected } from './layers.ts';

/** What a block does to each position after attention: takes and returns a tensor's id. */
export type FeedForward = (name: string, x: number) => number;

/** How the blocks of a stack are built. */
export interface BlockOptions {
  readonly heads: number;
  /** Whether a position attends to those up to itself only. */
  readonly causal: boolean;
  /** Whether normalization comes before attention and feed-forward layers (GPT-2, ViT) or after their sums (BERT). */
  readonly norm: 'before' | 'after';
  readonly epsilon: number;
  /** Of what attention and feed-forward layers add, the share that is dropped in training. */
  readonly dropout: number;
  readonly feedForward: FeedForward;
}

/** Feed-forward layers are so many times as wide as the block. Source: Vaswani et al. 2017, section 3.3 */
export const FEED_FORWARD_EXPANSION = 4;

/**
 * Adds a transformer block to x [N, T, W]: attention and a feed-forward layer, each with its sum and normalization.
 * Sources: Vaswani et al., "Attention is all you need", 2017, section 3; the order before: Radford et al., "Language models
 * are unsupervised multitask learners", 2019, section 2.3; dropout before the sums: Vaswani et al., section 5.4.
 */
export function transformerBlock(builder: GraphBuilder, name: string, x: number, options: BlockOptions): number {
  const { norm, epsilon, dropout } = options;
  const normalize = (index: number, y: number): number =>
    layerNormalization(builder, `${name}.norm${index}`, y, epsilon);
  const sum = (index: number, a: number, b: number): number =>
    builder.op('add', `${name}.add${index}`, [a, dropped(builder, `${name}.dropout${index}`, b, dropout)]);
  if (norm === 'before') {
    const attended = sum(1, x, selfAttention(builder, name, normalize(1, x), options));
    return sum(2, attended, options.feedForward(name, normalize(2, attended)));
  }
  const attended = normalize(1, sum(1, x, selfAttention(builder, name, x, options)));
  return normalize(2, sum(2, attended, options.feedForward(name, attended)));
}

/** Adds attention of x [N, T, W] to itself, with linear layers for queries, keys, values and results. */
function selfAttention(builder: GraphBuilder, name: string, x: number, { heads, causal }: BlockOptions): number {
  const width = builder.shape(x).at(-1)!;
  const [query, key, value] = ['query', 'key', 'value'].map((part) =>
    fullyConnected(builder, `${name}.${part}`, x, width),
  );
  const attended = builder.op('attention', `${name}.attention`, [query!, key!, value!], { heads, causal });
  return fullyConnected(builder, `${name}.projection`, attended, width);
}

/** Two linear layers with GELU between: the feed-forward layer of GPT-2, BERT and ViT. */
export function geluFeedForward(builder: GraphBuilder, inner: number): FeedForward {
  return (name, x) => {
    const up = fullyConnected(builder, `${name}.up`, x, inner);
    return fullyConnected(builder, `${name}.down`, builder.op('gelu', `${name}.gelu`, [up]), builder.shape(x).at(-1)!);
  };
}

/** Adds a normalization over the last axis. */
export function layerNormalization(builder: GraphBuilder, name: string, x: number, epsilon: number): number {
  const width = builder.shape(x).at(-1)!;
  const gamma = builder.parameter(`${name}.weight`, [width]);
  return builder.op('layerNorm', name, [x, gamma, builder.parameter(`${name}.bias`, [width])], { epsilon });
}

/** Adds token embeddings: tokens [N, T] -> [N, T, width]. */
export function tokenEmbedding(
  builder: GraphBuilder,
  name: string,
  tokens: number,
  vocabulary: number,
  width: number,
): number {
  return builder.op('embedding', name, [tokens, builder.parameter(`${name}.weight`, [vocabulary, width])]);
}

/** Adds a learned vector to each position of x [N, T, W]. */
export function learnedPositions(builder: GraphBuilder, name: string, x: number): number {
  return builder.op('add', name, [x, builder.parameter(`${name}.weight`, builder.shape(x).slice(1))]);
}

/** What a sequence has at its first position: [N, S, F] -> [N, F]. */
export function firstPosition(builder: GraphBuilder, x: number): number {
  const first = builder.op('slice', 'first', [x], { starts: [0], ends: [1], axes: [1], steps: [1] });
  return builder.op('flatten', 'flatten', [first]);
}

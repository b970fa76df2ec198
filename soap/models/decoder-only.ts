import type { GraphBuilder } from '../training/builder.ts';
import { dropped, fullyConnected } from './layers.ts';
import type { FeedForward } from './transformer.ts';
import { layerNormalization, learnedPositions, tokenEmbedding, transformerBlock } from './transformer.ts';

/** PyTorch's default of LayerNorm, and GPT-2's. */
const EPSILON = 1e-5;

/** Sizes of a language model. */
export interface DecoderSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly sequence: number;
  readonly vocabulary: number;
  /** Of embeddings and of what blocks add, the share that is dropped in training. */
  readonly dropout: number;
}

/**
 * Adds a language model of causal blocks with normalization before attention and feed-forward layers, which are the caller's:
 * tokens [N, sequence] -> logits [N, sequence, vocabulary]. Returns the logits' id.
 */
export function decoderOnly(
  builder: GraphBuilder,
  batch: number,
  { layers, width, heads, sequence, vocabulary, dropout }: DecoderSizes,
  feedForward: FeedForward,
): number {
  const tokens = builder.input('tokens', [batch, sequence], 'int64');
  const embedded = tokenEmbedding(builder, 'embedding', tokens, vocabulary, width);
  let x = dropped(builder, 'dropout', learnedPositions(builder, 'positions', embedded), dropout);
  const options = { heads, causal: true, norm: 'before', epsilon: EPSILON, dropout, feedForward } as const;
  for (let layer = 0; layer < layers; layer++) x = transformerBlock(builder, `block${layer}`, x, options);
  const normalized = layerNormalization(builder, 'norm', x, EPSILON);
  return fullyConnected(builder, 'output', normalized, vocabulary, { bias: false });
}

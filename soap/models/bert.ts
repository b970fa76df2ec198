import { GraphBuilder } from '../training/builder.ts';
import {
  classesOf,
  dropoutOf,
  headsOf,
  headsRule,
  layersOf,
  sequenceOf,
  vocabularyOf,
  widthOf,
} from './common-parameters.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { dropped, fullyConnected } from './layers.ts';
import { whole } from './parameters.ts';
import {
  FEED_FORWARD_EXPANSION,
  firstPosition,
  geluFeedForward,
  layerNormalization,
  learnedPositions,
  tokenEmbedding,
  transformerBlock,
} from './transformer.ts';

/** Source: layer_norm_eps of bert-base-uncased. */
const EPSILON = 1e-12;

/**
 * BERT with a classifier over its pooled first token: tokens and segments [N, sequence] -> logits [N, classes]. The defaults
 * are those of BERT base. Samples fill the whole sequence, so that there is no padding mask. Dropout is left out, unless
 * asked for, and then that of attention weights and of the pooled token.
 * Source: Devlin et al., "BERT: Pre-training of deep bidirectional transformers for language understanding", 2018, section 3
 * and figure 4b; the vocabulary is bert-base-uncased's.
 */
export const bert: BuiltinModel = defineModel({
  name: 'bert',
  summary: 'BERT, by default base, with a classifier (Devlin et al. 2018)',
  loss: 'crossEntropy',
  parameters: {
    layers: layersOf(12, 'transformer blocks'),
    width: widthOf(768),
    heads: headsOf(12),
    sequence: sequenceOf(512),
    vocabulary: vocabularyOf(30_522),
    segments: whole(2, 'kinds of segments that tokens belong to', { most: 1024 }),
    classes: classesOf(2),
    dropout: dropoutOf('of the embeddings and of what each layer of a block adds'),
  },
  brokenRules: headsRule,
  build(batch, { layers, width, heads, sequence, vocabulary, segments, classes, dropout }) {
    const builder = new GraphBuilder();
    const tokens = builder.input('tokens', [batch, sequence], 'int64');
    const kinds = builder.input('segments', [batch, sequence], 'int64');
    const embedded = builder.op('add', 'embeddings', [
      tokenEmbedding(builder, 'tokenEmbedding', tokens, vocabulary, width),
      tokenEmbedding(builder, 'segmentEmbedding', kinds, segments, width),
    ]);
    const normalized = layerNormalization(builder, 'norm', learnedPositions(builder, 'positions', embedded), EPSILON);
    let x = dropped(builder, 'dropout', normalized, dropout);
    const feedForward = geluFeedForward(builder, FEED_FORWARD_EXPANSION * width);
    const options = { heads, causal: false, norm: 'after', epsilon: EPSILON, dropout, feedForward } as const;
    for (let layer = 0; layer < layers; layer++) x = transformerBlock(builder, `block${layer}`, x, options);
    const pooled = fullyConnected(builder, 'pooler', firstPosition(builder, x), width);
    const logits = fullyConnected(builder, 'classifier', builder.op('tanh', 'pooled', [pooled]), classes);
    return builder.build('bert', [logits]);
  },
});

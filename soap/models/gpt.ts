import { GraphBuilder } from '../training/builder.ts';
import { dropoutOf, headsOf, headsRule, layersOf, sequenceOf, vocabularyOf, widthOf } from './common-parameters.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { decoderOnly } from './decoder-only.ts';
import { FEED_FORWARD_EXPANSION, geluFeedForward } from './transformer.ts';

/**
 * GPT-2: tokens [N, sequence] -> logits [N, sequence, vocabulary]. The defaults are those of its smallest size. Two things
 * differ: the output layer has a weight of its own, in place of the token embedding's, and GELU is exact, in place of its tanh
 * approximation. Dropout is left out, unless asked for, and then that of attention weights.
 * Source: Radford et al., "Language models are unsupervised multitask learners", 2019, table 2 and section 2.3.
 */
export const gpt: BuiltinModel = defineModel({
  name: 'gpt',
  summary: 'GPT-2, by default its smallest size, with an untied output layer (Radford et al. 2019)',
  loss: 'crossEntropy',
  parameters: {
    layers: layersOf(12, 'transformer blocks'),
    width: widthOf(768),
    heads: headsOf(12),
    sequence: sequenceOf(1024),
    vocabulary: vocabularyOf(50_257),
    dropout: dropoutOf('of the embeddings and of what each layer of a block adds'),
  },
  brokenRules: headsRule,
  build(batch, values) {
    const builder = new GraphBuilder();
    const feedForward = geluFeedForward(builder, FEED_FORWARD_EXPANSION * values.width);
    return builder.build('gpt', [decoderOnly(builder, batch, values, feedForward)]);
  },
});

import { GraphBuilder } from '../training/builder.ts';
import { dropoutOf, headsOf, headsRule, layersOf, sequenceOf, vocabularyOf, widthOf } from './common-parameters.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { decoderOnly } from './decoder-only.ts';
import { fullyConnected } from './layers.ts';
import { whole } from './parameters.ts';
import type { FeedForward } from './transformer.ts';

/**
 * A language model whose feed-forward layers are mixtures of experts: tokens [N, sequence] -> logits [N, sequence, vocabulary].
 * Every expert sees every token, weighed by a softmax gate: the dense mixture, without routing or capacity limits.
 * Sources: Jacobs et al., "Adaptive mixtures of local experts", 1991, for the mixture; Fedus et al., "Switch transformers",
 * 2022, for experts in place of feed-forward layers; sizes of the blocks as GPT-2's smallest.
 */
export const moe: BuiltinModel = defineModel({
  name: 'moe',
  summary: 'a GPT whose feed-forward layers are dense mixtures of experts (Jacobs et al. 1991)',
  loss: 'crossEntropy',
  parameters: {
    layers: layersOf(12, 'transformer blocks'),
    width: widthOf(768),
    heads: headsOf(12),
    experts: whole(8, 'experts of each block', { most: 4096 }),
    inner: whole(3072, 'width inside of each expert', { most: 262_144 }),
    sequence: sequenceOf(1024),
    vocabulary: vocabularyOf(50_257),
    dropout: dropoutOf('of the embeddings and of what each layer of a block adds'),
  },
  brokenRules: headsRule,
  build(batch, values) {
    const builder = new GraphBuilder();
    const feedForward = mixtureOfExperts(builder, values.experts, values.inner);
    return builder.build('moe', [decoderOnly(builder, batch, values, feedForward)]);
  },
});

function mixtureOfExperts(builder: GraphBuilder, experts: number, inner: number): FeedForward {
  return (name, x) => {
    const width = builder.shape(x).at(-1)!;
    const gates = builder.op('softmax', `${name}.gates`, [fullyConnected(builder, `${name}.gate`, x, experts)], {
      axis: 2,
    });
    const weights = [
      builder.parameter(`${name}.experts.up`, [experts, inner, width]),
      builder.parameter(`${name}.experts.upBias`, [experts, inner]),
      builder.parameter(`${name}.experts.down`, [experts, width, inner]),
      builder.parameter(`${name}.experts.downBias`, [experts, width]),
    ];
    return builder.op('experts', `${name}.experts`, [x, gates, ...weights]);
  };
}

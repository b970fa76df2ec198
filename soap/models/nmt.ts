import { GraphBuilder } from '../training/builder.ts';
import { layersOf, vocabularyOf } from './common-parameters.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { whole } from './parameters.ts';
import type { SharedLayer } from './recurrent.ts';
import { embeddingLayer, lstmStack, stackAt, stepGroups, stepwiseLinear, unrolling } from './recurrent.ts';

/**
 * The paper's translation model: source and previous target words [N, steps] -> logits [N, steps, vocabulary], in one result
 * for each group of steps. The decoder starts from the encoder's last states, and its outputs attend to all of the encoder's.
 * Sources: the FlexFlow paper, table 3: encoder and decoder of 2 LSTM layers, hidden 1024, attention, softmax; vocabulary and
 * embedding of the authors' simulator. The attention layer is that of Luong et al., "Effective approaches to attention-based
 * neural machine translation", 2015, equations 5 to 8 with the score `dot`, divided by the square root of the width.
 */
export const nmt: BuiltinModel = defineModel({
  name: 'nmt',
  summary: "the FlexFlow paper's translation model: encoder and decoder of 2 LSTM layers, attention",
  loss: 'crossEntropy',
  parameters: {
    layers: layersOf(2, 'LSTM layers of the encoder, and as many of the decoder'),
    hidden: whole(1024, 'width of the LSTM layers', { most: 65_536 }),
    embedding: whole(1024, 'width of the embeddings', { most: 65_536 }),
    vocabulary: vocabularyOf(32_000),
    ...unrolling,
  },
  build(batch, { layers, hidden, embedding, vocabulary, steps, group }) {
    const builder = new GraphBuilder();
    const source = builder.input('source', [batch, steps], 'int64');
    const previous = builder.input('previous', [batch, steps], 'int64');
    const groups = stepGroups(steps, group);
    const sizes = { layers, inputWidth: embedding, hidden };

    const encoder = lstmStack(builder, 'encoder', sizes);
    const embedSource = embeddingLayer(builder, 'sourceEmbedding', vocabulary, embedding);
    const pieces = groups.map((each) => stackAt(encoder, each, embedSource.at(each, source)));
    const encoded = pieces.length === 1 ? pieces[0]! : builder.op('concat', 'encoded', pieces, { axis: 1 });

    const states = encoder.map((layer) => layer.state());
    const decoder = lstmStack(builder, 'decoder', sizes, states);
    const embedTarget = embeddingLayer(builder, 'targetEmbedding', vocabulary, embedding);
    const attend = attentionLayer(builder, encoded, hidden);
    const output = stepwiseLinear(builder, 'output', hidden, vocabulary);
    const logits = groups.map((each) =>
      output.at(each, attend.at(each, stackAt(decoder, each, embedTarget.at(each, previous)))),
    );
    return builder.build('nmt', logits);
  },
});

/** tanh(W [context; x]), where the context is what x [N, steps, hidden] attends to of the encoder's outputs. */
function attentionLayer(builder: GraphBuilder, encoded: number, hidden: number): SharedLayer {
  const combine = stepwiseLinear(builder, 'combine', 2 * hidden, hidden, { bias: false });
  return {
    at(group, x) {
      const attributes = { heads: 1, causal: false };
      const context = builder.op('attention', `attention.${group.start}`, [x, encoded, encoded], attributes);
      const both = builder.op('concat', `concat.${group.start}`, [context, x], { axis: 2 });
      return builder.op('tanh', `tanh.${group.start}`, [combine.at(group, both)]);
    },
  };
}

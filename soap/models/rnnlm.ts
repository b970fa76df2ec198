import { GraphBuilder } from '../training/builder.ts';
import { dropoutOf, layersOf, vocabularyOf } from './common-parameters.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { dropped } from './layers.ts';
import { whole } from './parameters.ts';
import { embeddingLayer, lstmStack, stepGroups, stepwiseLinear, unrolling } from './recurrent.ts';

/**
 * The paper's recurrent language model: tokens [N, steps] -> logits [N, steps, vocabulary], in one result for each group of
 * steps.
 * Source: the FlexFlow paper, table 3: 2 LSTM layers, hidden 2048, Penn Treebank. It leaves open the embedding's width, here
 * the hidden one; the vocabulary is the 10,000 words that Mikolov et al., "Recurrent neural network based language model",
 * 2010, and all since use of Penn Treebank. Dropout, where asked for: Zaremba et al., "Recurrent neural network regularization",
 * 2014, figure 2.
 */
export const rnnlm: BuiltinModel = defineModel({
  name: 'rnnlm',
  summary: "the FlexFlow paper's language model: 2 LSTM layers",
  loss: 'crossEntropy',
  parameters: {
    layers: layersOf(2, 'LSTM layers'),
    hidden: whole(2048, 'width of the LSTM layers', { most: 65_536 }),
    embedding: whole(2048, 'width of the embeddings', { most: 65_536 }),
    vocabulary: vocabularyOf(10_000),
    dropout: dropoutOf('that the LSTM layers and the output layer read'),
    ...unrolling,
  },
  build(batch, { layers, hidden, embedding, vocabulary, dropout, steps, group }) {
    const builder = new GraphBuilder();
    const tokens = builder.input('tokens', [batch, steps], 'int64');
    const embed = embeddingLayer(builder, 'embedding', vocabulary, embedding);
    const stack = lstmStack(builder, 'lstm', { layers, inputWidth: embedding, hidden });
    const output = stepwiseLinear(builder, 'output', hidden, vocabulary);
    const logits = stepGroups(steps, group).map((each) => {
      const drop = (layer: number, x: number): number => dropped(builder, `dropout${layer}.${each.start}`, x, dropout);
      const embedded = drop(0, embed.at(each, tokens));
      return output.at(
        each,
        stack.reduce((x, layer, i) => drop(i + 1, layer.at(each, x)), embedded),
      );
    });
    return builder.build('rnnlm', logits);
  },
});

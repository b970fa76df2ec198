import { GraphBuilder } from '../training/builder.ts';
import { classesOf, layersOf, vocabularyOf } from './common-parameters.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { fullyConnected } from './layers.ts';
import { whole } from './parameters.ts';
import { embeddingLayer, lstmStack, stackAt, stepGroups, unrolling } from './recurrent.ts';

/**
 * The paper's recurrent text classifier: tokens [N, steps] -> logits [N, classes] from the last step's state.
 * Source: the FlexFlow paper, table 3: 4 LSTM layers, hidden 1024, movie reviews. It leaves open the embedding's width, here
 * the hidden one, and the vocabulary, here the 18,765 words of movie reviews (Kim, "Convolutional neural networks for sentence
 * classification", 2014, table 1) rounded up; reviews are positive or negative.
 */
export const rnntc: BuiltinModel = defineModel({
  name: 'rnntc',
  summary: "the FlexFlow paper's text classifier: 4 LSTM layers",
  loss: 'crossEntropy',
  parameters: {
    layers: layersOf(4, 'LSTM layers'),
    hidden: whole(1024, 'width of the LSTM layers', { most: 65_536 }),
    embedding: whole(1024, 'width of the embeddings', { most: 65_536 }),
    vocabulary: vocabularyOf(20_000),
    classes: classesOf(2),
    ...unrolling,
  },
  build(batch, { layers, hidden, embedding, vocabulary, classes, steps, group }) {
    const builder = new GraphBuilder();
    const tokens = builder.input('tokens', [batch, steps], 'int64');
    const embed = embeddingLayer(builder, 'embedding', vocabulary, embedding);
    const stack = lstmStack(builder, 'lstm', { layers, inputWidth: embedding, hidden });
    for (const each of stepGroups(steps, group)) stackAt(stack, each, embed.at(each, tokens));
    const last = stack.at(-1)!.state().h;
    return builder.build('rnntc', [fullyConnected(builder, 'output', last, classes)]);
  },
});

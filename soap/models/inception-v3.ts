import { GraphBuilder } from '../training/builder.ts';
import { batchNormFlag, classesOf, firstWidth, imageOf } from './common-parameters.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { blockA, blockB, blockC, blockD, blockE, shrink, unit } from './inception-blocks.ts';
import { pooledClassifier } from './layers.ts';

/**
 * Inception-v3 without the auxiliary classifier: images [N, 3, 299, 299] -> logits [N, classes].
 * Source: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2015, table 1, with the numbers and
 * names of torchvision.models.inception_v3; dropout is left out.
 */
export const inceptionv3: BuiltinModel = defineModel({
  name: 'inceptionv3',
  summary: 'Inception-v3 without its auxiliary classifier (Szegedy et al. 2015)',
  loss: 'crossEntropy',
  parameters: {
    classes: classesOf(1000),
    image: imageOf(299, 75),
    width: firstWidth(32),
    batchNorm: batchNormFlag(),
  },
  build(batch, { classes, image, width, batchNorm }) {
    const graph = new GraphBuilder();
    const net = { graph, width, batchNorm };
    let x = graph.input('images', [batch, 3, image, image]);
    x = unit(net, 'Conv2d_1a_3x3', x, { channels: 32, kernel: 3, stride: 2 });
    x = unit(net, 'Conv2d_2a_3x3', x, { channels: 32, kernel: 3 });
    x = unit(net, 'Conv2d_2b_3x3', x, { channels: 64, kernel: 3, padding: 1 });
    x = shrink(net, 'maxpool1', x);
    x = unit(net, 'Conv2d_3b_1x1', x, { channels: 80, kernel: 1 });
    x = unit(net, 'Conv2d_4a_3x3', x, { channels: 192, kernel: 3 });
    x = shrink(net, 'maxpool2', x);
    x = blockA(net, 'Mixed_5b', x, 32);
    x = blockA(net, 'Mixed_5c', x, 64);
    x = blockA(net, 'Mixed_5d', x, 64);
    x = blockB(net, 'Mixed_6a', x);
    x = blockC(net, 'Mixed_6b', x, 128);
    x = blockC(net, 'Mixed_6c', x, 160);
    x = blockC(net, 'Mixed_6d', x, 160);
    x = blockC(net, 'Mixed_6e', x, 192);
    x = blockD(net, 'Mixed_7a', x);
    x = blockE(net, 'Mixed_7b', x);
    x = blockE(net, 'Mixed_7c', x);
    return graph.build('inceptionv3', [pooledClassifier(graph, x, classes)]);
  },
});

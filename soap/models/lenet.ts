import { GraphBuilder } from '../training/builder.ts';
import type { Graph } from '../graph/graph.ts';
import { classesOf, imageOf } from './common-parameters.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { convolution, fullyConnected, maxPooling } from './layers.ts';
import { whole } from './parameters.ts';

/**
 * LeNet-5 in today's form: ReLU and max pooling in place of sigmoid and subsampling. Images [N, 1, 28, 28] -> logits [N, 10].
 * Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998, figure 2.
 */
export const lenetModel: BuiltinModel = defineModel({
  name: 'lenet',
  summary: "LeNet-5 in today's form (LeCun et al. 1998)",
  loss: 'crossEntropy',
  parameters: {
    classes: classesOf(10),
    image: imageOf(28, 12),
    channels: whole(1, 'channels of the images', { most: 1024 }),
  },
  build(batch, { classes, image, channels }) {
    const builder = new GraphBuilder();
    const images = builder.input('images', [batch, channels, image, image]);
    const c1 = builder.op('relu', 'relu1', [
      convolution(builder, 'conv1', images, { channels: 6, kernel: 5, padding: 2 }),
    ]);
    const s2 = maxPooling(builder, 'pool1', c1, { kernel: 2, stride: 2 });
    const c3 = builder.op('relu', 'relu2', [convolution(builder, 'conv2', s2, { channels: 16, kernel: 5 })]);
    const s4 = maxPooling(builder, 'pool2', c3, { kernel: 2, stride: 2 });
    const flat = builder.op('flatten', 'flatten', [s4]);
    const f5 = builder.op('relu', 'relu3', [fullyConnected(builder, 'fc1', flat, 120)]);
    const f6 = builder.op('relu', 'relu4', [fullyConnected(builder, 'fc2', f5, 84)]);
    return builder.build('lenet', [fullyConnected(builder, 'fc3', f6, classes)]);
  },
});

/** LeNet with its defaults. */
export function lenet(batch: number): Graph {
  return lenetModel.build(batch, {});
}

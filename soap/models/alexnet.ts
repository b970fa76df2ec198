import { GraphBuilder } from '../training/builder.ts';
import { classesOf, dropoutOf, firstWidth, imageOf } from './common-parameters.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import { convolution, dropped, fullyConnected, maxPooling } from './layers.ts';
import { whole } from './parameters.ts';

/**
 * AlexNet in its single-tower form: images [N, 3, 224, 224] -> logits [N, classes]. Dropout is
 * left out unless asked for.
 * Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, section 5, whose layer
 * widths (64, 192, 384, 256, 256) torchvision.models.alexnet also uses.
 */
export const alexnet: BuiltinModel = defineModel({
  name: 'alexnet',
  summary: 'AlexNet in its single-tower form (Krizhevsky 2014)',
  loss: 'crossEntropy',
  parameters: {
    classes: classesOf(1000),
    image: imageOf(224, 63),
    width: firstWidth(64),
    hidden: whole(4096, 'width of the two hidden linear layers', { most: 65_536 }),
    dropout: dropoutOf('that the two hidden linear layers read'),
  },
  build(batch, { classes, image, width, hidden, dropout }) {
    const builder = new GraphBuilder();
    const images = builder.input('images', [batch, 3, image, image]);
    const block = (index: number, x: number, channels: number, kernel: number, padding: number, stride = 1): number =>
      builder.op('relu', `relu${index}`, [
        convolution(builder, `conv${index}`, x, { channels, kernel, stride, padding }),
      ]);
    const pool = (index: number, x: number): number => maxPooling(builder, `pool${index}`, x, { kernel: 3, stride: 2 });
    const linear = (index: number, x: number): number =>
      fullyConnected(builder, `fc${index}`, dropped(builder, `dropout${index}`, x, dropout), hidden);
    const p1 = pool(1, block(1, images, width, 11, 2, 4));
    const p2 = pool(2, block(2, p1, 3 * width, 5, 2));
    const c5 = block(5, block(4, block(3, p2, 6 * width, 3, 1), 4 * width, 3, 1), 4 * width, 3, 1);
    const flat = builder.op('flatten', 'flatten', [pool(5, c5)]);
    const f6 = builder.op('relu', 'relu6', [linear(6, flat)]);
    const f7 = builder.op('relu', 'relu7', [linear(7, f6)]);
    return builder.build('alexnet', [fullyConnected(builder, 'fc8', f7, classes)]);
  },
});

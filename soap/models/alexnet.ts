import { GraphBuilder } from '../graph/builder.ts';
import type { Graph } from '../graph/graph.ts';
import { convolution, fullyConnected, maxPooling } from './layers.ts';

/**
 * AlexNet in its single-tower form: images [N, 3, 224, 224] -> logits [N, classes].
 * Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, section 5, whose layer
 * widths (64, 192, 384, 256, 256) torchvision.models.alexnet also uses.
 */
export function alexnet(batch: number, { classes = 1000 }: { readonly classes?: number } = {}): Graph {
  const builder = new GraphBuilder();
  const images = builder.input('images', [batch, 3, 224, 224]);
  const block = (index: number, x: number, channels: number, kernel: number, stride: number, padding: number): number =>
    builder.op('relu', `relu${index}`, [
      convolution(builder, `conv${index}`, x, { channels, kernel, stride, padding }),
    ]);
  const pool = (index: number, x: number): number => maxPooling(builder, `pool${index}`, x, { kernel: 3, stride: 2 });
  const p1 = pool(1, block(1, images, 64, 11, 4, 2));
  const p2 = pool(2, block(2, p1, 192, 5, 1, 2));
  const c5 = block(5, block(4, block(3, p2, 384, 3, 1, 1), 256, 3, 1, 1), 256, 3, 1, 1);
  const flat = builder.op('flatten', 'flatten', [pool(5, c5)]);
  const f6 = builder.op('relu', 'relu6', [fullyConnected(builder, 'fc6', flat, 4096)]);
  const f7 = builder.op('relu', 'relu7', [fullyConnected(builder, 'fc7', f6, 4096)]);
  return builder.build('alexnet', [fullyConnected(builder, 'fc8', f7, classes)]);
}

import { GraphBuilder } from '../../soap/training/builder.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinModel } from '../../soap/models/index.ts';
import { normalizedConvolution } from '../../soap/models/convolution-unit.ts';
import { fullyConnected, pooledClassifier } from '../../soap/models/layers.ts';
import { lstmStack, stackAt } from '../../soap/models/recurrent.ts';
import { geluFeedForward, transformerBlock } from '../../soap/models/transformer.ts';

/** A model of the benchmark; `torch_device.py` has the same one under the same name. */
export interface BenchCase {
  readonly name: string;
  readonly title: string;
  /** Whether it is only held against PyTorch on several devices. */
  readonly onlyOnSeveral?: true;
  build(): TrainingGraph;
}

/** Targets are among the first so many classes. */
export const CLASSES = 10;
const BATCH = 64;

/** The models of the table. */
export const CASES: readonly BenchCase[] = [
  { name: 'mlp', title: 'MLP 784-4096-4096-10, batch 64', build: mlp },
  { name: 'alexnet', title: 'AlexNet with its linear layers, batch 32', build: alexnet },
  { name: 'bottleneck', title: 'four ResNet bottlenecks 256-64-256 at 28x28, batch 16', build: bottleneck },
  { name: 'lstm', title: 'LSTM 1024, 20 steps, batch 64', build: lstm },
  { name: 'transformer', title: 'transformer block d 512, 8 heads, 128 tokens, batch 8', build: transformer },
  {
    name: 'lstm-lm',
    title: 'LSTM language model: 10,000 words, 1024, 20 steps, batch 64',
    onlyOnSeveral: true,
    build: lstmLm,
  },
];

function mlp(): TrainingGraph {
  const builder = new GraphBuilder();
  let x = builder.input('x', [BATCH, 784]);
  for (const layer of [1, 2]) x = builder.op('relu', `relu${layer}`, [fullyConnected(builder, `fc${layer}`, x, 4096)]);
  return attachLoss(builder.build('mlp', [fullyConnected(builder, 'fc3', x, CLASSES)]), 'crossEntropy');
}

function alexnet(): TrainingGraph {
  return attachLoss(builtinModel('alexnet', 32, 1, {}).graph, 'crossEntropy');
}

function bottleneck(): TrainingGraph {
  const builder = new GraphBuilder();
  let x = builder.input('x', [16, 256, 28, 28]);
  for (let block = 0; block < 4; block++) {
    const unit = (layer: number, from: number, channels: number, kernel: number): number => {
      const names = { convolution: `${block}.conv${layer}`, normalization: `${block}.bn${layer}` };
      const options = { channels, kernel, padding: (kernel - 1) / 2 };
      return normalizedConvolution(builder, names, from, options, { batchNorm: true, epsilon: 1e-5 });
    };
    const first = builder.op('relu', `${block}.relu1`, [unit(1, x, 64, 1)]);
    const second = builder.op('relu', `${block}.relu2`, [unit(2, first, 64, 3)]);
    const sum = builder.op('add', `${block}.add`, [unit(3, second, 256, 1), x]);
    x = builder.op('relu', `${block}.relu3`, [sum]);
  }
  return attachLoss(builder.build('bottleneck', [pooledClassifier(builder, x, CLASSES)]), 'crossEntropy');
}

function lstm(): TrainingGraph {
  const [width, steps] = [1024, 20];
  const builder = new GraphBuilder();
  const x = builder.input('x', [BATCH, steps, width]);
  const stack = lstmStack(builder, 'lstm', { layers: 1, inputWidth: width, hidden: width });
  return attachLoss(
    builder.build('lstm', [fullyConnected(builder, 'out', stackAt(stack, { start: 0, steps }, x), CLASSES)]),
    'crossEntropy',
  );
}

function lstmLm(): TrainingGraph {
  const width = 1024;
  const options = { layers: 1, hidden: width, embedding: width, vocabulary: 10_000, steps: 20, group: 20 };
  return attachLoss(builtinModel('rnnlm', BATCH, 1, options).graph, 'crossEntropy');
}

function transformer(): TrainingGraph {
  const width = 512;
  const builder = new GraphBuilder();
  const x = builder.input('x', [8, 128, width]);
  const feedForward = geluFeedForward(builder, 4 * width);
  const options = { heads: 8, causal: false, norm: 'before', epsilon: 1e-5, dropout: 0, feedForward } as const;
  const y = transformerBlock(builder, 'block', x, options);
  return attachLoss(builder.build('transformer', [fullyConnected(builder, 'out', y, CLASSES)]), 'crossEntropy');
}

import { GraphBuilder } from '../training/builder.ts';
import type { Graph } from '../graph/graph.ts';
import { batchNormFlag, classesOf, firstWidth, imageOf } from './common-parameters.ts';
import { normalizedConvolution } from './convolution-unit.ts';
import type { BuiltinModel } from './definition.ts';
import { defineModel } from './definition.ts';
import type { ConvolutionOptions } from './layers.ts';
import { maxPooling, pooledClassifier } from './layers.ts';
import { whole, wholes } from './parameters.ts';

/** A bottleneck block gives this many times the channels of its stage. Source: He et al. 2015, table 1. */
const EXPANSION = 4;
/** PyTorch's default of BatchNorm2d. */
const EPSILON = 1e-5;

interface ResidualSettings {
  readonly classes: number;
  readonly image: number;
  readonly width: number;
  readonly blocks: readonly number[];
  readonly batchNorm: boolean;
  readonly groups: number;
  /** Channels of the first stage's 3x3 convolutions, twice as many in each further stage. */
  readonly inner: number;
}

const parametersOf = (blocks: readonly number[]) => ({
  classes: classesOf(1000),
  image: imageOf(224, 32),
  width: firstWidth(64),
  blocks: wholes(blocks, 'blocks of each stage', { most: 256, longest: 8 }),
  batchNorm: batchNormFlag(),
});

/**
 * Residual network of bottleneck blocks: images [N, 3, 224, 224] -> logits [N, classes].
 * Source: He et al., "Deep residual learning for image recognition", 2015, table 1, with the stride in the 3x3 convolutions
 * as torchvision.models.resnet has it, whose names the layers have.
 */
export const resnet50: BuiltinModel = residual('resnet50', 'ResNet-50 (He et al. 2015)', [3, 4, 6, 3]);
/** The same with 101 layers, the paper's; see {@link resnet50}. */
export const resnet101: BuiltinModel = residual(
  'resnet101',
  'ResNet-101 with its shortcuts (He et al. 2015)',
  [3, 4, 23, 3],
);

function residual(name: string, summary: string, blocks: readonly number[]): BuiltinModel {
  return defineModel({
    name,
    summary,
    loss: 'crossEntropy',
    parameters: parametersOf(blocks),
    build: (batch, values) => residualNetwork(name, batch, { ...values, groups: 1, inner: values.width }),
  });
}

/**
 * ResNeXt-50 32x4d: ResNet-50 whose 3x3 convolutions have 32 groups of 4 channels in the first stage.
 * Source: Xie et al., "Aggregated residual transformations for deep neural networks", 2017, table 1.
 */
export const resnext50: BuiltinModel = defineModel({
  name: 'resnext50',
  summary: 'ResNeXt-50 32x4d (Xie et al. 2017)',
  loss: 'crossEntropy',
  parameters: {
    ...parametersOf([3, 4, 6, 3]),
    groups: whole(32, 'groups of each 3x3 convolution', { most: 1024 }),
    groupWidth: whole(4, 'channels of each group in the first stage, doubled in each further one', { most: 1024 }),
  },
  build: (batch, values) =>
    residualNetwork('resnext50', batch, { ...values, inner: values.groups * values.groupWidth }),
});

function residualNetwork(name: string, batch: number, settings: ResidualSettings): Graph {
  const { image, width, blocks } = settings;
  const builder = new GraphBuilder();
  const images = builder.input('images', [batch, 3, image, image]);
  const stem = { channels: width, kernel: 7, stride: 2, padding: 3 };
  const first = activation(builder, 'relu', unit(builder, '', 'conv1', images, stem, settings));
  let x = maxPooling(builder, 'maxpool', first, { kernel: 3, stride: 2, padding: 1 });
  for (const [stage, count] of blocks.entries()) {
    for (let block = 0; block < count; block++) {
      const stride = block === 0 && stage > 0 ? 2 : 1;
      x = bottleneck(builder, `layer${stage + 1}.${block}.`, x, stage, stride, settings);
    }
  }
  return builder.build(name, [pooledClassifier(builder, x, settings.classes)]);
}

/** 1x1, 3x3 and 1x1 convolutions, and a shortcut that is a 1x1 convolution where the shape changes. */
function bottleneck(
  builder: GraphBuilder,
  prefix: string,
  x: number,
  stage: number,
  stride: number,
  settings: ResidualSettings,
): number {
  const { width, inner, groups } = settings;
  const [middle, channels] = [inner * 2 ** stage, EXPANSION * width * 2 ** stage];
  const part = (layer: string, from: number, options: ConvolutionOptions): number =>
    unit(builder, prefix, layer, from, options, settings);
  const narrowed = activation(builder, `${prefix}relu1`, part('conv1', x, { channels: middle, kernel: 1 }));
  const windows = { channels: middle, kernel: 3, stride, padding: 1, groups };
  const seen = activation(builder, `${prefix}relu2`, part('conv2', narrowed, windows));
  const widened = part('conv3', seen, { channels, kernel: 1 });
  const changes = stride > 1 || builder.shape(x)[1] !== channels;
  const shortcut = changes ? part('downsample.0', x, { channels, kernel: 1, stride }) : x;
  return activation(builder, `${prefix}relu3`, builder.op('add', `${prefix}add`, [widened, shortcut]));
}

/** A normalized convolution with torchvision's names: conv1 goes with bn1, downsample.0 with downsample.1. */
function unit(
  builder: GraphBuilder,
  prefix: string,
  layer: string,
  x: number,
  options: ConvolutionOptions,
  { batchNorm }: ResidualSettings,
): number {
  const normalization = prefix + (layer === 'downsample.0' ? 'downsample.1' : layer.replace('conv', 'bn'));
  const names = { convolution: prefix + layer, normalization };
  return normalizedConvolution(builder, names, x, options, { batchNorm, epsilon: EPSILON });
}

function activation(builder: GraphBuilder, name: string, x: number): number {
  return builder.op('relu', name, [x]);
}

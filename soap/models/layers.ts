import type { GraphBuilder } from '../training/builder.ts';
import type { Attributes } from '../graph/graph.ts';

/** One number for height and width alike, or one for each. */
export type Pair = number | readonly [height: number, width: number];

/** Channels and window of a convolution. */
export interface ConvolutionOptions {
  readonly channels: number;
  readonly kernel: Pair;
  readonly stride?: Pair;
  readonly padding?: Pair;
  /** Groups that channels are convolved in apart; default 1. */
  readonly groups?: number;
  /** Default true. */
  readonly bias?: boolean;
}

/** Adds a convolution of [N, C, H, W]. Returns the output tensor's id. */
export function convolution(builder: GraphBuilder, name: string, x: number, options: ConvolutionOptions): number {
  const { channels, kernel, stride = 1, padding = 0, groups = 1, bias = true } = options;
  const inputs = [x, builder.parameter(`${name}.weight`, [channels, builder.shape(x)[1]! / groups, ...pairOf(kernel)])];
  if (bias) inputs.push(builder.parameter(`${name}.bias`, [channels]));
  return builder.op('conv2d', name, inputs, { ...windowAttributes(kernel, stride, padding), groups });
}

/** Adds a normalization of each channel of [N, C, H, W] by the statistics of the batch. Returns the output tensor's id. */
export function batchNormalization(builder: GraphBuilder, name: string, x: number, epsilon: number): number {
  const channels = builder.shape(x)[1]!;
  const gamma = builder.parameter(`${name}.weight`, [channels]);
  return builder.op('batchNorm', name, [x, gamma, builder.parameter(`${name}.bias`, [channels])], { epsilon });
}

/** Window of a pooling. */
interface PoolingOptions {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding?: Pair;
}

/** Adds a max pooling. Returns the output tensor's id. */
export function maxPooling(
  builder: GraphBuilder,
  name: string,
  x: number,
  { kernel, stride, padding = 0 }: PoolingOptions,
): number {
  return builder.op('maxPool2d', name, [x], windowAttributes(kernel, stride, padding));
}

/** Adds an average pooling whose windows count padded zeros, as PyTorch's do. Returns the output tensor's id. */
export function averagePooling(
  builder: GraphBuilder,
  name: string,
  x: number,
  { kernel, stride, padding = 0 }: PoolingOptions,
): number {
  return builder.op('avgPool2d', name, [x], { ...windowAttributes(kernel, stride, padding), countIncludePad: true });
}

/** Adds a fully connected layer of the last axis. Returns the output tensor's id. */
export function fullyConnected(
  builder: GraphBuilder,
  name: string,
  x: number,
  channels: number,
  { bias = true }: { readonly bias?: boolean } = {},
): number {
  const inputs = [x, builder.parameter(`${name}.weight`, [channels, builder.shape(x).at(-1)!])];
  if (bias) inputs.push(builder.parameter(`${name}.bias`, [channels]));
  return builder.op('linear', name, inputs, { transposed: true });
}

/** Adds a dropout of x; none where the share is 0. Returns the output tensor's id. */
export function dropped(builder: GraphBuilder, name: string, x: number, share: number): number {
  return share === 0 ? x : builder.op('dropout', name, [x], { ratio: share });
}

/** Adds the pooling of all positions and the fully connected layer that end today's convolutional networks: logits [N, classes]. */
export function pooledClassifier(builder: GraphBuilder, x: number, classes: number): number {
  const pooled = builder.op('globalAveragePool', 'avgpool', [x]);
  return fullyConnected(builder, 'fc', builder.op('flatten', 'flatten', [pooled]), classes);
}

function windowAttributes(kernel: Pair, stride: Pair, padding: Pair): Attributes {
  return {
    kernel: pairOf(kernel),
    strides: pairOf(stride),
    dilations: [1, 1],
    padsBegin: pairOf(padding),
    padsEnd: pairOf(padding),
  };
}

function pairOf(pair: Pair): readonly [number, number] {
  return typeof pair === 'number' ? [pair, pair] : pair;
}

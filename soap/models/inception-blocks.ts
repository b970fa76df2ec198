import type { GraphBuilder } from '../training/builder.ts';
import { normalizedConvolution } from './convolution-unit.ts';
import type { ConvolutionOptions } from './layers.ts';
import { averagePooling, maxPooling } from './layers.ts';

/** Channels of the first convolution that all numbers below go with. */
const PUBLISHED_WIDTH = 32;
/** Source: torchvision.models.inception.BasicConv2d. */
const EPSILON = 0.001;

// Blocks have the letters, names and channels of torchvision.models.inception; each takes and returns a tensor's id.
const ROW = { kernel: [1, 7], padding: [0, 3] } as const;
const COLUMN = { kernel: [7, 1], padding: [3, 0] } as const;
const SHORT_ROW = { kernel: [1, 3], padding: [0, 1] } as const;
const SHORT_COLUMN = { kernel: [3, 1], padding: [1, 0] } as const;

/** A network that is being built. */
export interface Inception {
  readonly graph: GraphBuilder;
  /** Channels of the first convolution; all others scale with it. */
  readonly width: number;
  readonly batchNorm: boolean;
}

/** A convolution with its normalization and ReLU; channels as published, before scaling. */
export function unit(net: Inception, name: string, x: number, { channels, ...window }: ConvolutionOptions): number {
  const names = { convolution: `${name}.conv`, normalization: `${name}.bn` };
  const options = { ...window, channels: Math.max(1, Math.round(channels * (net.width / PUBLISHED_WIDTH))) };
  const normalization = { batchNorm: net.batchNorm, epsilon: EPSILON };
  return net.graph.op('relu', `${name}.relu`, [normalizedConvolution(net.graph, names, x, options, normalization)]);
}

/** Max pooling that halves height and width. */
export function shrink(net: Inception, name: string, x: number): number {
  return maxPooling(net.graph, name, x, { kernel: 3, stride: 2 });
}

/** Figure 5 of the Inception-v3 paper. */
export function blockA(net: Inception, name: string, x: number, poolChannels: number): number {
  const one = unit(net, `${name}.branch1x1`, x, { channels: 64, kernel: 1 });
  const five = chain(net, `${name}.branch5x5`, x, [
    { channels: 48, kernel: 1 },
    { channels: 64, kernel: 5, padding: 2 },
  ]);
  const three = chain(net, `${name}.branch3x3dbl`, x, [
    { channels: 64, kernel: 1 },
    { channels: 96, kernel: 3, padding: 1 },
    { channels: 96, kernel: 3, padding: 1 },
  ]);
  return concat(net, name, [one, five, three, pooled(net, name, x, poolChannels)]);
}

/** Figure 10: halves height and width. */
export function blockB(net: Inception, name: string, x: number): number {
  const three = unit(net, `${name}.branch3x3`, x, { channels: 384, kernel: 3, stride: 2 });
  const double = chain(net, `${name}.branch3x3dbl`, x, [
    { channels: 64, kernel: 1 },
    { channels: 96, kernel: 3, padding: 1 },
    { channels: 96, kernel: 3, stride: 2 },
  ]);
  return concat(net, name, [three, double, shrink(net, `${name}.branch_pool`, x)]);
}

/** Figure 6: 7x7 convolutions as rows and columns. */
export function blockC(net: Inception, name: string, x: number, channels: number): number {
  const one = unit(net, `${name}.branch1x1`, x, { channels: 192, kernel: 1 });
  const seven = chain(net, `${name}.branch7x7`, x, [
    { channels, kernel: 1 },
    { channels, ...ROW },
    { channels: 192, ...COLUMN },
  ]);
  const double = chain(net, `${name}.branch7x7dbl`, x, [
    { channels, kernel: 1 },
    { channels, ...COLUMN },
    { channels, ...ROW },
    { channels, ...COLUMN },
    { channels: 192, ...ROW },
  ]);
  return concat(net, name, [one, seven, double, pooled(net, name, x, 192)]);
}

/** Halves height and width. */
export function blockD(net: Inception, name: string, x: number): number {
  const three = chain(net, `${name}.branch3x3`, x, [
    { channels: 192, kernel: 1 },
    { channels: 320, kernel: 3, stride: 2 },
  ]);
  const seven = chain(net, `${name}.branch7x7x3`, x, [
    { channels: 192, kernel: 1 },
    { channels: 192, ...ROW },
    { channels: 192, ...COLUMN },
    { channels: 192, kernel: 3, stride: 2 },
  ]);
  return concat(net, name, [three, seven, shrink(net, `${name}.branch_pool`, x)]);
}

/** Figure 7: branches that fan out. */
export function blockE(net: Inception, name: string, x: number): number {
  const one = unit(net, `${name}.branch1x1`, x, { channels: 320, kernel: 1 });
  const narrow = unit(net, `${name}.branch3x3_1`, x, { channels: 384, kernel: 1 });
  const double = chain(net, `${name}.branch3x3dbl`, x, [
    { channels: 448, kernel: 1 },
    { channels: 384, kernel: 3, padding: 1 },
  ]);
  return concat(net, name, [
    one,
    fan(net, `${name}.branch3x3_2`, narrow),
    fan(net, `${name}.branch3x3dbl_3`, double),
    pooled(net, name, x, 192),
  ]);
}

function chain(net: Inception, name: string, x: number, units: readonly ConvolutionOptions[]): number {
  return units.reduce((y, options, i) => unit(net, `${name}_${i + 1}`, y, options), x);
}

function fan(net: Inception, name: string, x: number): number {
  const row = unit(net, `${name}a`, x, { channels: 384, ...SHORT_ROW });
  return concat(net, name, [row, unit(net, `${name}b`, x, { channels: 384, ...SHORT_COLUMN })]);
}

function pooled(net: Inception, name: string, x: number, channels: number): number {
  const averaged = averagePooling(net.graph, `${name}.avgpool`, x, { kernel: 3, stride: 1, padding: 1 });
  return unit(net, `${name}.branch_pool`, averaged, { channels, kernel: 1 });
}

function concat(net: Inception, name: string, branches: readonly number[]): number {
  return net.graph.op('concat', `${name}.concat`, branches, { axis: 1 });
}

import type { GraphBuilder } from '../training/builder.ts';
import type { ConvolutionOptions } from './layers.ts';
import { batchNormalization, convolution } from './layers.ts';

/** How a network treats all of its convolutions. */
export interface Normalization {
  /** Without batch normalization convolutions have biases instead. */
  readonly batchNorm: boolean;
  readonly epsilon: number;
}

/** Names of a unit's convolution and normalization. */
export interface UnitNames {
  readonly convolution: string;
  readonly normalization: string;
}

/** Adds a convolution, normalized where the network's are. Returns the output tensor's id. */
export function normalizedConvolution(
  builder: GraphBuilder,
  names: UnitNames,
  x: number,
  options: ConvolutionOptions,
  { batchNorm, epsilon }: Normalization,
): number {
  const y = convolution(builder, names.convolution, x, { ...options, bias: !batchNorm });
  return batchNorm ? batchNormalization(builder, names.normalization, y, epsilon) : y;
}

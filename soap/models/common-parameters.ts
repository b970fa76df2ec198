import { largestDivisor } from '../region/divisors.ts';
import type { BrokenRule, ParameterSpec } from './parameters.ts';
import { flag, share, whole } from './parameters.ts';

/** Classes that a model tells apart. */
export const classesOf = (otherwise: number): ParameterSpec<number> => whole(otherwise, 'classes, one logit each');

/** Height and width of square images; no smaller than the network's strides allow. */
export const imageOf = (otherwise: number, least: number): ParameterSpec<number> =>
  whole(otherwise, 'height and width of the images, in pixels', { least, most: 4096 });

/** Channels of the first layer, which scale those of all others. */
export const firstWidth = (otherwise: number): ParameterSpec<number> =>
  whole(otherwise, 'channels of the first convolution; the others keep their proportion to it', { most: 8192 });

/** Whether convolutions are normalized. */
export const batchNormFlag = (): ParameterSpec<boolean> =>
  flag(true, 'batch normalization after each convolution; without it convolutions have biases');

/** The share of values that are dropped in training. */
export const dropoutOf = (where: string): ParameterSpec<number> =>
  share(0, `share of the values ${where} that are dropped at random in training`);

/** Blocks or layers in a stack. */
export const layersOf = (otherwise: number, what: string): ParameterSpec<number> =>
  whole(otherwise, what, { most: 1024 });

/** Attention heads of each layer. */
export const headsOf = (otherwise: number): ParameterSpec<number> =>
  whole(otherwise, 'attention heads; they divide the width', { most: 1024 });

/** Every head has an equal share of the width. */
export function headsRule({ width, heads }: { readonly width: number; readonly heads: number }): BrokenRule[] {
  if (width % heads === 0) return [];
  const message =
    `got ${heads} with a width of ${width}, expected a divisor of it: ` +
    `use ${largestDivisor(width, heads)}, or change width`;
  return [{ parameter: 'heads', beside: ['width'], message }];
}

/** Width of what runs through a stack of transformer blocks. */
export const widthOf = (otherwise: number): ParameterSpec<number> =>
  whole(otherwise, 'width of the embeddings and of each block', { most: 65_536 });

/** Tokens of a sample. */
export const sequenceOf = (otherwise: number): ParameterSpec<number> =>
  whole(otherwise, 'tokens of a sample', { most: 65_536 });

/** Distinct tokens. */
export const vocabularyOf = (otherwise: number): ParameterSpec<number> =>
  whole(otherwise, 'distinct tokens', { most: 2 ** 24 });

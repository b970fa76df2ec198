import type { Shape } from '../graph/graph.ts';
import type { Region } from '../region/region.ts';
import { regionVolume } from '../region/region.ts';
import type { Dimension, OpSignature, Part } from './op.ts';

const AXIS_NAMES: Readonly<Record<number, readonly string[]>> = {
  1: ['sample'],
  2: ['sample', 'channel'],
  3: ['sample', 'sequence', 'channel'],
  4: ['sample', 'channel', 'height', 'width'],
};

/** Dimensions of an op that treats every element alike: the first axis is sample, any other attribute. */
export function elementwiseDimensions({ outputs }: OpSignature): readonly Dimension[] {
  const shape = outputs[0]!;
  return shape.map((size, axis) => ({
    name: axisName(axis, shape.length),
    kind: axis === 0 ? 'sample' : 'attribute',
    size,
    axis,
  }));
}

/** The name of an axis of a tensor whose first axis counts samples. */
export function axisName(axis: number, rank: number): string {
  return AXIS_NAMES[rank]?.[axis] ?? (axis === 0 ? 'sample' : `axis${axis}`);
}

/**
 * Dimensions of the axes before the last of [N, ..., W], whose last is the features: sample, and sequence where there is
 * one axis between.
 */
export function rowDimensions(shape: Shape): Dimension[] {
  return shape.slice(0, -1).map((size, axis) => ({
    name: axis === 0 ? 'sample' : shape.length === 3 ? 'sequence' : `axis${axis}`,
    kind: axis === 0 ? 'sample' : 'attribute',
    size,
    axis,
  }));
}

/** Every input is read where the output is written. */
export function sameInputRegion(_signature: OpSignature, output: Region): Region {
  return output;
}

/** The output has the shape of the only or first input. */
export function sameOutputShape(inputs: readonly Shape[]): readonly Shape[] {
  return [inputs[0]!];
}

/** Flops of `perElement` operations for each element of the part. */
export function elementwiseFlops(perElement: number): (part: Part) => number {
  return (part) => perElement * regionVolume(part.output);
}

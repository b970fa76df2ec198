import type { Shape } from '../graph/graph.ts';
import type { Region } from '../strategy/region.ts';
import { regionVolume } from '../strategy/region.ts';
import type { Dimension, OpSignature, Part } from './op.ts';

const AXIS_NAMES: Readonly<Record<number, readonly string[]>> = {
  1: ['sample'],
  2: ['sample', 'channel'],
  3: ['sample', 'channel', 'length'],
  4: ['sample', 'channel', 'height', 'width'],
};

/** Dimensions of an op that treats every element alike: the first axis is sample, any other attribute. */
export function elementwiseDimensions({ outputs }: OpSignature): readonly Dimension[] {
  const shape = outputs[0]!;
  const names = AXIS_NAMES[shape.length];
  return shape.map((size, axis) => ({
    name: names?.[axis] ?? (axis === 0 ? 'sample' : `axis${axis}`),
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

import type { Shape } from '../graph/graph.ts';
import { broadcastShape } from '../onnx/indexing.ts';
import type { Interval, Region } from '../region/region.ts';
import type { Emitter, Value } from './emitter.ts';
import { OpError } from './op.ts';

/** The shape that operands of a node become. @throws {OpError} where they do not fit each other */
export function operandShape(opType: string, shapes: readonly Shape[]): Shape {
  const shape = broadcastShape(...shapes);
  if (shape !== undefined) return shape;
  const listed = shapes.map((each) => `[${each}]`).join(' and ');
  throw new OpError(
    `${opType} has inputs of shapes ${listed}; expected extents that are equal or 1, from the last axis on`,
  );
}

/** The box of an operand that goes with a box of the result. */
export function broadcastRegion(shape: Shape, result: Region): Region {
  const first = result.length - shape.length;
  return shape.map((extent, axis): Interval => (extent === 1 ? [0, 1] : result[first + axis]!));
}

/** Sums the gradient of a result over the axes along which an operand of this shape was repeated. */
export function sumToShape(emit: Emitter, gradient: Value, shape: readonly number[]): Value {
  const first = gradient.shape.length - shape.length;
  const axes = gradient.shape.flatMap((extent, axis) =>
    axis < first || (shape[axis - first] === 1 && extent !== 1) ? [axis] : [],
  );
  const summed = axes.length === 0 ? gradient : emit.reduceSum(gradient, axes);
  return summed.shape.length === shape.length ? summed : emit.reshape(summed, shape);
}

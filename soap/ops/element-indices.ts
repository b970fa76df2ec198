import type { Shape } from '../graph/graph.ts';
import type { OnnxNode } from '../onnx/model.ts';
import type { Region } from '../region/region.ts';
import type { Dimension } from './op.ts';
import { nodeAxis } from './node-axes.ts';
import { OpError } from './op.ts';

/** The `axis` of a node whose elements name places along it, counted from the first. @param otherwise where the node does not say */
export function axisOf(node: OnnxNode, shape: Shape, otherwise: number): number {
  const { axis } = node.attributes;
  return nodeAxis(node, axis?.type === 'int' ? axis.value : otherwise, shape.length);
}

/** Those dimensions of a tensor that are not the axis: what is computed along one needs all of it. */
export function besideAxis(dimensions: readonly Dimension[], axis: number): readonly Dimension[] {
  return dimensions.filter((each) => each.axis !== axis);
}

/** A box with all of an axis. @param shape whose axis it is */
export function wholeAlong(box: Region, axis: number, shape: Shape): Region {
  return box.with(axis, [0, shape[axis]!]);
}

/**
 * Makes sure that indices fit the data that they name elements of: as many axes, and but for `axis` at most as many elements.
 * @param type ONNX's name of the op
 * @throws {OpError} where they do not
 */
export function requireIndices(type: string, data: Shape, indices: Shape, axis: number): void {
  const fits = indices.length === data.length && indices.every((extent, k) => k === axis || extent <= data[k]!);
  if (fits && axis >= 0 && axis < data.length) return;
  throw new OpError(
    `${type} has indices [${indices}] along axis ${axis} of [${data}]; expected as many axes, and no more along the others`,
  );
}

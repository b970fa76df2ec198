import type { OnnxAttribute, OnnxNode } from '../../onnx/model.ts';
import { nodeAxis } from '../../ops/node-axes.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { intAttribute } from '../../ops/unary.ts';
import { isWhole, nodeWriter } from './writer.ts';

const int = (value: number): OnnxAttribute => ({ type: 'int', value });

/** The position of a TopK's indices among its results. */
const TOP_INDICES = 1;

/** First operator set in which Hardmax is along one axis; before, all axes from the given one on are one. */
const ONE_AXIS_OPSET = 13;

/** Where along an axis the largest element is. Source: https://onnx.ai/onnx/operators/onnx__ArgMax.html */
export function argMaxAsTop(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  return placesOf(node, context, true);
}

/** Where along an axis the smallest element is. */
export function argMinAsTop(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  return placesOf(node, context, false);
}

/**
 * 1 where the largest element along an axis is, the first of equal ones, and 0 elsewhere.
 * Source: https://onnx.ai/onnx/operators/onnx__Hardmax.html
 * @throws {OpError} up to operator set 12 along any axis but the last
 */
export function hardmaxAsOneHot(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const shape = context.shape(0);
  const isOfAxis = context.opset >= ONE_AXIS_OPSET;
  const axis = nodeAxis(node, intAttribute(node, 'axis', isOfAxis ? -1 : 1), shape.length);
  if (!isOfAxis && shape.slice(axis + 1).some((extent) => extent > 1)) {
    throw new OpError(
      `Hardmax of operator set ${context.opset} has axis ${axis} of [${shape}], and so all axes after it; expected the last`,
    );
  }
  const writer = nodeWriter(node);
  const places = writer.add('ArgMax', [node.inputs[0]!], { axis: int(axis), keepdims: int(0) });
  const values = writer.constant({ dtype: 'float32', shape: [2], data: Float32Array.of(0, 1) });
  writer.add('OneHot', [places, writer.integers([shape[axis]!]), values], { axis: int(axis) });
  return writer.finish();
}

/** A TopK of one: of equal elements the first, or of an axis that is turned round the last. No gradient passes. */
function placesOf(node: OnnxNode, context: ImportContext, isLargest: boolean): readonly OnnxNode[] {
  const shape = context.shape(0);
  const axis = nodeAxis(node, intAttribute(node, 'axis', 0), shape.length);
  const last = shape[axis]! - 1;
  const writer = nodeWriter(node);
  const given = node.inputs[0]!;
  const x = isWhole(context.dtype(0)) ? writer.cast(given, 'float32') : given;
  const isTurned = intAttribute(node, 'select_last_index', 0) !== 0;
  const bounds = [[last], [-last - 2], [axis], [-1]].map((list) => (isTurned ? writer.integers(list) : ''));
  const turned = isTurned ? writer.add('Slice', [x, ...bounds]) : x;
  const attributes = { axis: int(axis), largest: int(isLargest ? 1 : 0) };
  const found = writer.add('TopK', [turned, writer.integers([1])], attributes, TOP_INDICES);
  const places = isTurned ? writer.add('Sub', [writer.number(last, 'int64'), found]) : found;
  if (intAttribute(node, 'keepdims', 1) === 0) writer.add('Squeeze', [places, writer.integers([axis])]);
  else writer.add('Identity', [places]);
  return writer.finish();
}

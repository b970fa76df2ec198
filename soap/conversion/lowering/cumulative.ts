import type { OnnxAttribute, OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import { nodeAxis } from '../../ops/node-axes.ts';
import type { ImportContext } from '../../ops/op.ts';
import { integerList, OpError } from '../../ops/op.ts';
import { nodeWriter } from './writer.ts';

const [X, AXIS] = [0, 1];

/** Extent of an axis beyond which a CumSum is refused: its matrix has the square of it. */
const MAX_EXTENT = 2048;

/**
 * A CumSum as a product with a constant matrix of ones where a result takes an element, so that every split and the gradients are those
 * of `matmul`. Whole numbers, such as the positions that models count from masks, are cast for it as for any other op.
 * Source: https://onnx.ai/onnx/operators/onnx__CumSum.html
 * @throws {OpError} over the samples, of a long axis, and of one that is computed
 */
export function cumSumAsProduct(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const [shape, given] = [context.shape(X), context.constant(AXIS)];
  if (given === undefined) throw new OpError('CumSum has an axis that is computed; expected a constant');
  const [first = 0] = integerList(given);
  const axis = nodeAxis(node, first, shape.length);
  const [extent, last] = [shape[axis]!, shape.length - 1];
  if (axis < 1 || extent < 1 || extent > MAX_EXTENT) {
    throw new OpError(
      `CumSum has axis ${first} for shape [${shape}]; expected one behind the samples, of at most ${MAX_EXTENT}`,
    );
  }
  const writer = nodeWriter(node);
  const swap = [...shape.keys()].map((i) => (i === axis ? last : i === last ? axis : i));
  const turn: OnnxNode['attributes'] = { perm: { type: 'ints', value: swap } };
  const x = node.inputs[X]!;
  const turned = axis === last ? x : writer.add('Transpose', [x], turn);
  const sums = writer.add('MatMul', [turned, writer.constant(summed(extent, node.attributes))]);
  if (axis !== last) writer.add('Transpose', [sums], turn);
  return writer.finish();
}

/** [extent, extent]: 1 where an element, by row, is part of a result, by column. */
function summed(extent: number, attributes: OnnxNode['attributes']): OnnxTensor {
  const isSet = (attribute: OnnxAttribute | undefined): boolean => attribute?.type === 'int' && attribute.value !== 0;
  const [isExclusive, isReverse] = [isSet(attributes['exclusive']), isSet(attributes['reverse'])];
  const data = new Float32Array(extent * extent);
  for (let element = 0; element < extent; element++) {
    for (let result = 0; result < extent; result++) {
      const ahead = isReverse ? element - result : result - element;
      if (isExclusive ? ahead > 0 : ahead >= 0) data[element * extent + result] = 1;
    }
  }
  return { dtype: 'float32', shape: [extent, extent], data };
}

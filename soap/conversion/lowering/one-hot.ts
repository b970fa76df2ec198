import type { OnnxNode } from '../../onnx/model.ts';
import { nodeAxis } from '../../ops/node-axes.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { intAttribute } from '../../ops/unary.ts';
import { isWhole, nodeWriter } from './writer.ts';

const [INDICES, DEPTH, VALUES] = [0, 1, 2];

/**
 * A OneHot as a comparison with 0, 1, ... along the new axis. An index below 0 counts from the end; one beyond the axis is nowhere.
 * Source: https://onnx.ai/onnx/operators/onnx__OneHot.html
 * @throws {OpError} where the depth, or the values, are computed
 */
export function oneHotAsComparison(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const [depth, values] = [context.scalar(DEPTH), context.constant(VALUES)];
  if (depth === undefined || values?.data.length !== 2) {
    throw new OpError(
      'OneHot has a depth, or values, that are computed; expected constants: a number, and two of them',
    );
  }
  const rank = context.shape(INDICES).length + 1;
  const axis = nodeAxis(node, intAttribute(node, 'axis', -1), rank);
  const [off, on] = [Number(values.data[0]), Number(values.data[1])];
  const writer = nodeWriter(node);
  const given = node.inputs[INDICES]!;
  const indices = isWhole(context.dtype(INDICES)) ? given : writer.cast(given, 'int64');
  const isBehind = writer.add('Less', [indices, writer.number(0, 'int64')]);
  const counted = writer.add('Add', [indices, writer.number(depth, 'int64')]);
  const index = writer.add('Where', [isBehind, counted, indices]);
  const classes = writer.constant({
    dtype: 'int64',
    shape: Array.from({ length: rank - axis }, (_, i) => (i === 0 ? depth : 1)),
    data: BigInt64Array.from({ length: depth }, (_, i) => BigInt(i)),
  });
  const isThere = writer.add('Equal', [writer.add('Unsqueeze', [index, writer.integers([axis])]), classes]);
  writer.add('Where', [isThere, writer.number(on, values.dtype), writer.number(off, values.dtype)]);
  return writer.finish();
}

import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { intAttribute } from '../../ops/unary.ts';
import { nodeWriter } from './writer.ts';

const [X, DIAGONAL] = [0, 1];

/**
 * A Trilu as a choice between its input and 0, by a constant mask: so torch.tril and torch.triu are exported.
 * Source: https://onnx.ai/onnx/operators/onnx__Trilu.html
 * @throws {OpError} where the diagonal is computed
 */
export function triluAsChoice(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const isGiven = (node.inputs[DIAGONAL] ?? '') !== '';
  const diagonal = isGiven ? context.scalar(DIAGONAL) : 0;
  if (diagonal === undefined) throw new OpError('Trilu has a diagonal that is computed; expected a constant');
  const [rows, columns] = context.shape(X).slice(-2);
  if (rows === undefined || columns === undefined) {
    throw new OpError(`Trilu has shape [${context.shape(X)}]; expected [..., rows, columns]`);
  }
  const isUpper = intAttribute(node, 'upper', 1) !== 0;
  const writer = nodeWriter(node);
  const mask = writer.constant(triangle(rows, columns, diagonal, isUpper));
  writer.add('Where', [mask, node.inputs[X]!, writer.number(0, context.dtype(X))]);
  return writer.finish();
}

function triangle(rows: number, columns: number, diagonal: number, isUpper: boolean): OnnxTensor {
  const data = Uint8Array.from({ length: rows * columns }, (_, i) => {
    const offset = (i % columns) - Math.floor(i / columns);
    return Number(isUpper ? offset >= diagonal : offset <= diagonal);
  });
  return { dtype: 'bool', shape: [rows, columns], data };
}

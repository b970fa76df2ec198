import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { isWhole, nodeWriter } from './writer.ts';

/**
 * A power of a number above 0, as 2 ** x, as exp(x ln 2). It is of the number's type: of a whole one it is rounded, and right up to 2^20.
 * @returns undefined for others: the op takes an exponent that is a number
 */
export function powAsExponential(node: OnnxNode, context: ImportContext): readonly OnnxNode[] | undefined {
  const [base, exponent] = [context.scalar(0), context.scalar(1)];
  if (base === undefined || base <= 0 || exponent !== undefined) return undefined;
  const writer = nodeWriter(node);
  const x = isWhole(context.dtype(1)) ? writer.cast(node.inputs[1]!, 'float32') : node.inputs[1]!;
  const power = writer.add('Exp', [writer.add('Mul', [x, writer.number(Math.log(base))])]);
  if (isWhole(context.dtype(0))) writer.cast(writer.add('Round', [power]), 'int64');
  return writer.finish();
}

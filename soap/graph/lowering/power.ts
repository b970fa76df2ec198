import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { nodeWriter } from './writer.ts';

/**
 * A power of a number above 0, as 2 ** x, as exp(x ln 2).
 * @returns undefined for others: the op takes an exponent that is a number
 */
export function powAsExponential(node: OnnxNode, context: ImportContext): readonly OnnxNode[] | undefined {
  const [base, exponent] = [context.scalar(0), context.scalar(1)];
  if (base === undefined || base <= 0 || exponent !== undefined) return undefined;
  const writer = nodeWriter(node);
  writer.add('Exp', [writer.add('Mul', [node.inputs[1]!, writer.number(Math.log(base))])]);
  return writer.finish();
}

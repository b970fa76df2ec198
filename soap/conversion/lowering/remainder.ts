import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { intAttribute } from '../../ops/unary.ts';
import type { NodeWriter } from './writer.ts';
import { isWhole, nodeWriter } from './writer.ts';

/**
 * A Mod as what is left of the dividend without as many divisors as there are in it. With `fmod` it has the sign of the dividend, as of
 * torch.fmod, without, that of the divisor, as of torch.remainder, which only whole numbers have. Of floats the rest is as exact as the
 * quotient: where that is within rounding of a whole number, it may be 0 in place of the divisor, as in PyTorch's torch.remainder.
 * Source: https://onnx.ai/onnx/operators/onnx__Mod.html
 * @throws {OpError} for floats without fmod
 */
export function modAsDifference(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const [a, b] = [node.inputs[0]!, node.inputs[1]!];
  const [isTruncated, whole] = [intAttribute(node, 'fmod', 0) !== 0, isWhole(context.dtype(0))];
  if (!whole && !isTruncated) throw new OpError('Mod of floats has fmod 0; expected 1');
  const writer = nodeWriter(node);
  if (!whole) {
    restOf(writer, a, b, countOf(writer, a, b));
    return writer.finish();
  }
  const rest = restOf(writer, a, b, writer.add('Div', [a, b]));
  if (isTruncated) return writer.finish();
  const hasOtherSign = writer.add('Less', [writer.add('Mul', [rest, b]), writer.number(0, 'int64')]);
  writer.add('Where', [hasOtherSign, writer.add('Add', [rest, b]), rest]);
  return writer.finish();
}

/** a - count b. */
function restOf(writer: NodeWriter, a: string, b: string, count: string): string {
  return writer.add('Sub', [a, writer.add('Mul', [count, b])]);
}

/** How many divisors there are in a dividend of floats. Where the rest has the other sign, rounding has made it one too many. */
function countOf(writer: NodeWriter, a: string, b: string): string {
  const count = writer.cast(writer.cast(writer.add('Div', [a, b]), 'int64'), 'float32');
  const isTooLarge = writer.add('Less', [writer.add('Mul', [restOf(writer, a, b, count), a]), writer.number(0)]);
  return writer.add('Where', [isTooLarge, writer.add('Sub', [count, writer.add('Sign', [count])]), count]);
}

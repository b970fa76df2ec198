import type { OnnxNode } from '../../onnx/model.ts';
import type { NodeWriter } from './writer.ts';
import { nodeWriter } from './writer.ts';

/** The largest whole number that is no larger. No gradient passes, as in PyTorch. Values beyond 2^63 have none. */
export function floorAsCasts(node: OnnxNode): readonly OnnxNode[] {
  const writer = nodeWriter(node);
  floorOf(writer, node.inputs[0]!);
  return writer.finish();
}

/** The smallest whole number that is no smaller: -floor(-x). */
export function ceilAsCasts(node: OnnxNode): readonly OnnxNode[] {
  const writer = nodeWriter(node);
  writer.add('Neg', [floorOf(writer, writer.add('Neg', [node.inputs[0]!]))]);
  return writer.finish();
}

/** The nearest whole number, of two the even one. Source: https://onnx.ai/onnx/operators/onnx__Round.html */
export function roundAsCasts(node: OnnxNode): readonly OnnxNode[] {
  const writer = nodeWriter(node);
  const [x, half] = [node.inputs[0]!, writer.number(0.5)];
  const below = floorOf(writer, x);
  const rest = writer.add('Sub', [x, below]);
  // Halfway, 1 is added to an odd number: to what twice the floor of its half misses.
  const odd = writer.add('Sub', [
    below,
    writer.add('Mul', [floorOf(writer, writer.add('Mul', [below, half])), writer.number(2)]),
  ]);
  const one = writer.number(1);
  const added = writer.add('Where', [
    writer.add('Equal', [rest, half]),
    odd,
    writer.add('Where', [writer.add('Greater', [rest, half]), one, writer.number(0)]),
  ]);
  writer.add('Add', [below, added]);
  return writer.finish();
}

/** A cast to whole numbers cuts the fraction off: of numbers below 0 that is one too many. */
function floorOf(writer: NodeWriter, x: string): string {
  const cut = writer.cast(writer.cast(x, 'int64'), 'float32');
  const isBelow = writer.add('Less', [x, cut]);
  return writer.add('Sub', [cut, writer.add('Where', [isBelow, writer.number(1), writer.number(0)])]);
}

import type { OnnxNode } from '../../onnx/model.ts';
import { LOWEST } from '../../ops/reductions.ts';
import { intAttribute } from '../../ops/unary.ts';
import { nodeWriter } from './writer.ts';

/** An IsInf as comparisons with the largest and the lowest of other numbers. Source: https://onnx.ai/onnx/operators/onnx__IsInf.html */
export function isInfAsComparisons(node: OnnxNode): readonly OnnxNode[] {
  const x = node.inputs[0]!;
  const [above, below] = ['detect_positive', 'detect_negative'].map((name) => intAttribute(node, name, 1) !== 0);
  const writer = nodeWriter(node);
  const isAbove = writer.add('Greater', [x, writer.number(-LOWEST)]);
  if (above && !below) return writer.finish();
  const isBelow = writer.add('Less', [x, writer.number(LOWEST)]);
  if (below && !above) return writer.finish();
  // 0 and 1: no number is both.
  writer.add(above ? 'Add' : 'Mul', [isAbove, isBelow]);
  return writer.finish();
}

import type { OnnxAttribute, OnnxNode } from '../../onnx/model.ts';
import { nodeAxis } from '../../ops/node-axes.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { floatAttribute } from '../../ops/unary.ts';
import { nodeWriter } from './writer.ts';

/**
 * x / sqrt(mean(x^2) + epsilon) * scale over the axes from `axis` on, as of torch.nn.RMSNorm.
 * Source: Zhang and Sennrich, "Root mean square layer normalization", 2019; https://onnx.ai/onnx/operators/onnx__RMSNormalization.html
 * @throws {OpError} over the samples
 */
export function rmsNormAsQuotient(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const [attribute, rank] = [node.attributes['axis'], context.shape(0).length];
  const given = attribute?.type === 'int' ? attribute.value : -1;
  const first = nodeAxis(node, given, rank);
  if (first < 1) throw new OpError(`RMSNormalization has axis ${given}; expected one behind the samples`);
  const [x, scale] = [node.inputs[0]!, node.inputs[1]!];
  const axes: OnnxAttribute = { type: 'ints', value: Array.from({ length: rank - first }, (_, i) => first + i) };
  const writer = nodeWriter(node);
  const squares = writer.add('ReduceMean', [writer.add('Mul', [x, x])], { axes, keepdims: { type: 'int', value: 1 } });
  const shifted = writer.add('Add', [squares, writer.number(floatAttribute(node, 'epsilon', 1e-5))]);
  writer.add('Mul', [writer.add('Div', [x, writer.add('Sqrt', [shifted])]), scale]);
  return writer.finish();
}

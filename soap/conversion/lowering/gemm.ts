import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { floatAttribute } from '../../ops/unary.ts';
import { nodeWriter } from './writer.ts';

/**
 * alpha A B + beta C, as of torch.addmm, as a product, scaled, and a sum with C of any shape that broadcasts.
 * Source: https://onnx.ai/onnx/operators/onnx__Gemm.html
 * @returns undefined for what the op does by itself: a product, and a bias for each column
 */
export function gemmAsProduct(node: OnnxNode, context: ImportContext): readonly OnnxNode[] | undefined {
  const [a, b, c = ''] = node.inputs;
  const [alpha, beta] = [floatAttribute(node, 'alpha', 1), floatAttribute(node, 'beta', 1)];
  const { transB } = node.attributes;
  const columns = context.shape(1)[transB?.type === 'int' && transB.value === 1 ? 0 : 1];
  const isOfColumns = context.shape(2).length === 1 && (context.shape(2)[0] !== 1 || columns === 1);
  const isBias = c === '' || (beta === 1 && isOfColumns);
  if (alpha === 1 && isBias) return undefined;
  const writer = nodeWriter(node);
  const { alpha: _, beta: __, ...attributes } = node.attributes;
  const product = writer.add('Gemm', [a!, b!], attributes);
  const scaled = alpha === 1 ? product : writer.add('Mul', [product, writer.number(alpha)]);
  if (c !== '') writer.add('Add', [scaled, beta === 1 ? c : writer.add('Mul', [c, writer.number(beta)])]);
  return writer.finish();
}

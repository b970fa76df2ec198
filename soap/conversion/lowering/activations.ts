import type { OnnxAttribute, OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { floatAttribute } from '../../ops/unary.ts';
import { nodeWriter } from './writer.ts';

const float = (value: number): OnnxAttribute => ({ type: 'float', value });

/** x above 0, slope * x elsewhere, of a slope that is trained. Source: https://onnx.ai/onnx/operators/onnx__PRelu.html */
export function preluAsChoice(node: OnnxNode): readonly OnnxNode[] {
  const [x, slope] = [node.inputs[0]!, node.inputs[1]!];
  const writer = nodeWriter(node);
  const isAbove = writer.add('Greater', [x, writer.number(0)]);
  writer.add('Where', [isAbove, x, writer.add('Mul', [x, slope])]);
  return writer.finish();
}

/** gamma * Elu(x). Source of the defaults: https://onnx.ai/onnx/operators/onnx__Selu.html */
export function seluAsElu(node: OnnxNode): readonly OnnxNode[] {
  const [alpha, gamma] = [
    floatAttribute(node, 'alpha', 1.6732631921768188),
    floatAttribute(node, 'gamma', 1.0507010221481323),
  ];
  const writer = nodeWriter(node);
  const elu = writer.add('Elu', [node.inputs[0]!], { alpha: float(alpha) });
  writer.add('Mul', [elu, writer.number(gamma)]);
  return writer.finish();
}

/** alpha * Elu(x / alpha). Source: https://onnx.ai/onnx/operators/onnx__Celu.html */
export function celuAsElu(node: OnnxNode): readonly OnnxNode[] {
  const alpha = floatAttribute(node, 'alpha', 1);
  const writer = nodeWriter(node);
  const scaled = writer.add('Div', [node.inputs[0]!, writer.number(alpha)]);
  writer.add('Mul', [writer.add('Elu', [scaled], { alpha: float(1) }), writer.number(alpha)]);
  return writer.finish();
}

/** x * tanh(softplus(x)). Source: https://onnx.ai/onnx/operators/onnx__Mish.html */
export function mishAsProduct(node: OnnxNode): readonly OnnxNode[] {
  const x = node.inputs[0]!;
  const writer = nodeWriter(node);
  writer.add('Mul', [x, writer.add('Tanh', [writer.add('Softplus', [x])])]);
  return writer.finish();
}

/**
 * The approximation of GELU by tanh, x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))): GPT-2's. Source: Hendrycks and Gimpel,
 * "Gaussian error linear units", 2016, section 2; https://onnx.ai/onnx/operators/onnx__Gelu.html
 * @returns undefined for the exact form, which is an op
 */
export function geluAsTanh(node: OnnxNode): readonly OnnxNode[] | undefined {
  const approximate = node.attributes['approximate'];
  if (approximate?.type !== 'string' || approximate.value !== 'tanh') return undefined;
  const x = node.inputs[0]!;
  const writer = nodeWriter(node);
  const cube = writer.add('Mul', [writer.add('Pow', [x, writer.number(3)]), writer.number(0.044715)]);
  const inner = writer.add('Mul', [writer.add('Add', [x, cube]), writer.number(Math.sqrt(2 / Math.PI))]);
  const share = writer.add('Add', [writer.add('Tanh', [inner]), writer.number(1)]);
  writer.add('Mul', [writer.add('Mul', [x, share]), writer.number(0.5)]);
  return writer.finish();
}

/** 1 above 0, -1 below, 0 at 0, of the type of the input: no gradient passes. */
export function signAsComparisons(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const [x, dtype] = [node.inputs[0]!, context.dtype(0)];
  const writer = nodeWriter(node);
  const [one, zero, minusOne] = [writer.number(1, dtype), writer.number(0, dtype), writer.number(-1, dtype)];
  const below = writer.add('Where', [writer.add('Less', [x, zero]), minusOne, zero]);
  writer.add('Where', [writer.add('Greater', [x, zero]), one, below]);
  return writer.finish();
}

/** x * sigmoid(alpha x). Source: https://onnx.ai/onnx/operators/onnx__Swish.html */
export function swishAsProduct(node: OnnxNode): readonly OnnxNode[] {
  const [x, alpha] = [node.inputs[0]!, floatAttribute(node, 'alpha', 1)];
  const writer = nodeWriter(node);
  const scaled = alpha === 1 ? x : writer.add('Mul', [x, writer.number(alpha)]);
  writer.add('Mul', [x, writer.add('Sigmoid', [scaled])]);
  return writer.finish();
}

/** x / (1 + |x|). Source: https://onnx.ai/onnx/operators/onnx__Softsign.html */
export function softsignAsQuotient(node: OnnxNode): readonly OnnxNode[] {
  const x = node.inputs[0]!;
  const writer = nodeWriter(node);
  writer.add('Div', [x, writer.add('Add', [writer.add('Abs', [x]), writer.number(1)])]);
  return writer.finish();
}

/** x above alpha, 0 elsewhere. Source: https://onnx.ai/onnx/operators/onnx__ThresholdedRelu.html */
export function thresholdedAsChoice(node: OnnxNode): readonly OnnxNode[] {
  const x = node.inputs[0]!;
  const writer = nodeWriter(node);
  const isAbove = writer.add('Greater', [x, writer.number(floatAttribute(node, 'alpha', 1))]);
  writer.add('Where', [isAbove, x, writer.number(0)]);
  return writer.finish();
}

/** x nearer to 0 by `bias` outside of [-lambd, lambd], 0 within: torch.nn.Hardshrink. Source: https://onnx.ai/onnx/operators/onnx__Shrink.html */
export function shrinkAsChoice(node: OnnxNode): readonly OnnxNode[] {
  const [x, bound] = [node.inputs[0]!, floatAttribute(node, 'lambd', 0.5)];
  const writer = nodeWriter(node);
  const bias = writer.number(floatAttribute(node, 'bias', 0));
  const isAbove = writer.add('Greater', [x, writer.number(bound)]);
  const isBelow = writer.add('Less', [x, writer.number(-bound)]);
  const above = writer.add('Where', [isAbove, writer.add('Sub', [x, bias]), writer.number(0)]);
  writer.add('Where', [isBelow, writer.add('Add', [x, bias]), above]);
  return writer.finish();
}

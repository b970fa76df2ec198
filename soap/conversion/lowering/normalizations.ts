import type { OnnxAttribute, OnnxNode } from '../../onnx/model.ts';
import { nodeAxes, nodeAxis } from '../../ops/node-axes.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { intAttribute } from '../../ops/unary.ts';
import type { NodeWriter } from './writer.ts';
import { nodeWriter } from './writer.ts';

const KEPT: OnnxAttribute = { type: 'int', value: 1 };

/** What a MeanVarianceNormalization adds to a standard deviation. */
const MEAN_VARIANCE_EPSILON = 1e-9;

/**
 * x divided by its norm along an axis, of absolute values or squares; zeros stay zeros.
 * Source: https://onnx.ai/onnx/operators/onnx__LpNormalization.html
 * @throws {OpError} for other norms
 */
export function lpNormAsQuotient(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const axis = nodeAxis(node, intAttribute(node, 'axis', -1), context.shape(0).length);
  const p = intAttribute(node, 'p', 2);
  if (p !== 1 && p !== 2) throw new OpError(`LpNormalization has p ${p}; expected 1 or 2`);
  const x = node.inputs[0]!;
  const writer = nodeWriter(node);
  const norm = reduced(writer, p === 1 ? 'ReduceL1' : 'ReduceL2', x, [axis]);
  const isZero = writer.add('Equal', [norm, writer.number(0)]);
  writer.add('Div', [x, writer.add('Where', [isZero, writer.number(1), norm])]);
  return writer.finish();
}

/**
 * x without its mean over some axes, divided by its standard deviation there.
 * Source: https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html
 */
export function meanVarianceAsQuotient(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const [attribute, shape] = [node.attributes['axes'], context.shape(0)];
  const axes = nodeAxes(node, attribute?.type === 'ints' ? attribute.value : [0, 2, 3], shape.length);
  const elements = axes.reduce((product, axis) => product * shape[axis]!, 1);
  const x = node.inputs[0]!;
  const writer = nodeWriter(node);
  const centred = writer.add('Sub', [x, reduced(writer, 'ReduceMean', x, axes)]);
  // The norm has a gradient also where it is 0.
  const norm = reduced(writer, 'ReduceL2', centred, axes);
  const deviation = writer.add('Mul', [norm, writer.number(1 / Math.sqrt(elements))]);
  writer.add('Div', [centred, writer.add('Add', [deviation, writer.number(MEAN_VARIANCE_EPSILON)])]);
  return writer.finish();
}

function reduced(writer: NodeWriter, opType: string, x: string, axes: readonly number[]): string {
  return writer.add(opType, [x], { axes: { type: 'ints', value: axes }, keepdims: KEPT });
}

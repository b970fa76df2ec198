import type { OnnxAttribute, OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { axesOf, reductionAttributes } from '../../ops/reduce.ts';
import type { NodeWriter } from './writer.ts';
import { nodeWriter } from './writer.ts';

/**
 * A ReduceProd as products of halves, of these again, and so on: so the gradient of an element is the product of all others, also where one
 * is 0. Source: https://onnx.ai/onnx/operators/onnx__ReduceProd.html
 */
export function reduceProdAsProducts(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const [attributes, shape] = [reductionAttributes(node, context), context.shape(0)];
  const axes = axesOf(attributes);
  const writer = nodeWriter(node);
  let value = node.inputs[0]!;
  for (const axis of axes) value = productAlong(writer, value, axis, shape[axis]!);
  if (attributes['keepDims'] === true) writer.add('Identity', [value]);
  else writer.add('Squeeze', [value, writer.integers(axes)]);
  return writer.finish();
}

function productAlong(writer: NodeWriter, value: string, axis: number, extent: number): string {
  if (extent <= 1) return value;
  const along: OnnxAttribute = { type: 'int', value: axis };
  const half = Math.floor(extent / 2);
  const piece = (start: number, end: number): string =>
    writer.add('Slice', [value, ...[[start], [end], [axis]].map((list) => writer.integers(list))]);
  const product = writer.add('Mul', [piece(0, half), piece(half, 2 * half)]);
  const isOdd = extent % 2 === 1;
  const rest = isOdd ? writer.add('Concat', [product, piece(2 * half, extent)], { axis: along }) : product;
  return productAlong(writer, rest, axis, half + Number(isOdd));
}

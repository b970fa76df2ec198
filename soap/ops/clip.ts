import type { Attributes } from '../graph/graph.ts';
import type { OnnxNode } from '../onnx/model.ts';
import type { Value } from './emitter.ts';
import type { ImportContext, OpDefinition } from './op.ts';
import { numberAttribute, OpError } from './op.ts';
import { LOWEST } from './reductions.ts';
import { unaryOp } from './unary.ts';

/** Beyond it, and below {@link LOWEST}, there is no bound: the float32 numbers are smaller. */
export const HIGHEST: number = -LOWEST;

/** y = min(max(x, min), max); the gradient at the bounds is dy, as in PyTorch. ReLU6 is the clip to 0 ... 6. */
export const clip: OpDefinition = unaryOp({
  kind: 'clip',
  onnxTypes: ['Clip'],
  flops: [2, 2],
  attributes: (node, context): Attributes => ({
    min: bound(node, context, 'min', 1, LOWEST),
    max: bound(node, context, 'max', 2, HIGHEST),
  }),
  forward({ emit, attributes }, x): Value {
    const bounds = [emit.scalar(numberAttribute(attributes, 'min')), emit.scalar(numberAttribute(attributes, 'max'))];
    return emit.node('Clip', [x, ...bounds], x.shape);
  },
  gradient: ({ math }, dy, x, y) => math.where(math.equal(x(), y()), dy, 0),
});

/** A bound: an attribute up to operator set 10, an input since. */
function bound(node: OnnxNode, context: ImportContext, name: string, input: number, otherwise: number): number {
  const attribute = node.attributes[name];
  if (attribute?.type === 'float') return attribute.value;
  if ((node.inputs[input] ?? '') === '') return otherwise;
  const value = context.scalar(input);
  if (value === undefined) throw new OpError(`Clip has a bound '${name}' that is computed; expected a constant number`);
  return value;
}

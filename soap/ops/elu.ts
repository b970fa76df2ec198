import { float } from './emitter.ts';
import { numberAttribute } from './op.ts';
import type { OpDefinition } from './op.ts';
import { floatAttribute, unaryOp } from './unary.ts';

/** y = x above 0, alpha * (exp(x) - 1) elsewhere, where dx = dy * (y + alpha). */
export const elu: OpDefinition = unaryOp({
  kind: 'elu',
  onnxTypes: ['Elu'],
  flops: [5, 3],
  attributes: (node) => ({ alpha: floatAttribute(node, 'alpha', 1) }),
  forward: ({ emit, attributes }, x) =>
    emit.node('Elu', [x], x.shape, { alpha: float(numberAttribute(attributes, 'alpha')) }),
  gradient: ({ math, attributes }, dy, x, y) => {
    const slope = math.add(y(), numberAttribute(attributes, 'alpha'));
    return math.where(math.greater(x(), 0), dy, math.mul(dy, slope));
  },
});

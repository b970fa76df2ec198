import { float } from './emitter.ts';
import { numberAttribute } from './op.ts';
import type { OpDefinition } from './op.ts';
import { floatAttribute, unaryOp } from './unary.ts';

/** y = x above 0, alpha * x elsewhere. */
export const leakyRelu: OpDefinition = unaryOp({
  kind: 'leakyRelu',
  onnxTypes: ['LeakyRelu'],
  flops: [2, 2],
  attributes: (node) => ({ alpha: floatAttribute(node, 'alpha', 0.01) }),
  forward: ({ emit, attributes }, x) =>
    emit.node('LeakyRelu', [x], x.shape, { alpha: float(numberAttribute(attributes, 'alpha')) }),
  gradient: ({ math, attributes }, dy, x) =>
    math.where(math.greater(x(), 0), dy, math.mul(dy, numberAttribute(attributes, 'alpha'))),
});

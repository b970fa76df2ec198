import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = ln(1 + exp(x)); dx = dy * sigmoid(x). */
export const softplus: OpDefinition = unaryOp({
  kind: 'softplus',
  onnxTypes: ['Softplus'],
  flops: [8, 5],
  forward: ({ math }, x) => math.apply('Softplus', x),
  gradient: ({ math }, dy, x) => math.mul(dy, math.apply('Sigmoid', x())),
});

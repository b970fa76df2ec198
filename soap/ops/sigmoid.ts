import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = 1 / (1 + exp(-x)); dx = dy * y * (1 - y). */
export const sigmoid: OpDefinition = unaryOp({
  kind: 'sigmoid',
  onnxTypes: ['Sigmoid'],
  flops: [4, 3],
  forward: ({ math }, x) => math.apply('Sigmoid', x),
  gradient: ({ math }, dy, _x, y) => math.mul(dy, math.mul(y(), math.sub(1, y()))),
});

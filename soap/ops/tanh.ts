import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = tanh(x); dx = dy * (1 - y^2). */
export const tanh: OpDefinition = unaryOp({
  kind: 'tanh',
  onnxTypes: ['Tanh'],
  flops: [8, 3],
  forward: ({ math }, x) => math.apply('Tanh', x),
  gradient: ({ math }, dy, _x, y) => math.mul(dy, math.sub(1, math.mul(y(), y()))),
});

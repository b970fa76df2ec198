import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = exp(x); dx = dy * y. */
export const exp: OpDefinition = unaryOp({
  kind: 'exp',
  onnxTypes: ['Exp'],
  flops: [4, 1],
  forward: ({ math }, x) => math.apply('Exp', x),
  gradient: ({ math }, dy, _x, y) => math.mul(dy, y()),
});

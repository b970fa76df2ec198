import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = sin(x); dx = dy * cos(x). */
export const sin: OpDefinition = unaryOp({
  kind: 'sin',
  onnxTypes: ['Sin'],
  flops: [4, 5],
  forward: ({ math }, x) => math.apply('Sin', x),
  gradient: ({ math }, dy, x) => math.mul(dy, math.apply('Cos', x())),
});

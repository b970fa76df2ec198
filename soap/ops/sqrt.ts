import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = sqrt(x); dx = dy / (2 y). */
export const sqrt: OpDefinition = unaryOp({
  kind: 'sqrt',
  onnxTypes: ['Sqrt'],
  flops: [4, 2],
  forward: ({ math }, x) => math.apply('Sqrt', x),
  gradient: ({ math }, dy, _x, y) => math.div(dy, math.mul(2, y())),
});

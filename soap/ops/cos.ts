import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = cos(x); dx = -dy * sin(x). */
export const cos: OpDefinition = unaryOp({
  kind: 'cos',
  onnxTypes: ['Cos'],
  flops: [4, 6],
  forward: ({ math }, x) => math.apply('Cos', x),
  gradient: ({ math }, dy, x) => math.mul(dy, math.apply('Neg', math.apply('Sin', x()))),
});

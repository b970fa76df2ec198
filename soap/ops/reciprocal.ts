import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = 1 / x; dx = -dy * y^2. */
export const reciprocal: OpDefinition = unaryOp({
  kind: 'reciprocal',
  onnxTypes: ['Reciprocal'],
  flops: [1, 3],
  forward: ({ math }, x) => math.apply('Reciprocal', x),
  gradient: ({ math }, dy, _x, y) => math.mul(math.apply('Neg', dy), math.mul(y(), y())),
});

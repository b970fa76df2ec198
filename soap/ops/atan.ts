import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = atan(x); dx = dy / (1 + x^2). */
export const atan: OpDefinition = unaryOp({
  kind: 'atan',
  onnxTypes: ['Atan'],
  flops: [8, 3],
  forward: ({ math }, x) => math.apply('Atan', x),
  gradient: ({ math }, dy, x) => math.div(dy, math.add(1, math.mul(x(), x()))),
});

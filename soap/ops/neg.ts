import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = -x. */
export const neg: OpDefinition = unaryOp({
  kind: 'neg',
  onnxTypes: ['Neg'],
  flops: [1, 1],
  forward: ({ math }, x) => math.apply('Neg', x),
  gradient: ({ math }, dy) => math.apply('Neg', dy),
});

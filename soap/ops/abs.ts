import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = |x|. The gradient at 0 is 0, as in PyTorch. */
export const abs: OpDefinition = unaryOp({
  kind: 'abs',
  onnxTypes: ['Abs'],
  flops: [1, 2],
  forward: ({ math }, x) => math.apply('Abs', x),
  gradient: ({ math }, dy, x) => math.mul(dy, math.apply('Sign', x())),
});

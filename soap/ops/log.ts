import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = ln(x); dx = dy / x. */
export const log: OpDefinition = unaryOp({
  kind: 'log',
  onnxTypes: ['Log'],
  flops: [4, 1],
  forward: ({ math }, x) => math.apply('Log', x),
  gradient: ({ math }, dy, x) => math.div(dy, x()),
});

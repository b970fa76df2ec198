import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** The error function; dx = dy * 2 / sqrt(pi) * exp(-x^2). */
export const erf: OpDefinition = unaryOp({
  kind: 'erf',
  onnxTypes: ['Erf'],
  flops: [8, 8],
  forward: ({ math }, x) => math.apply('Erf', x),
  gradient: ({ math }, dy, x) => {
    const bell = math.apply('Exp', math.apply('Neg', math.mul(x(), x())));
    return math.mul(dy, math.mul(2 / Math.sqrt(Math.PI), bell));
  },
});

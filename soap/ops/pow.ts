import type { OpDefinition } from './op.ts';
import { numberAttribute, OpError } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = x^exponent for a constant exponent; dx = dy * exponent * x^(exponent - 1). */
export const pow: OpDefinition = unaryOp({
  kind: 'pow',
  onnxTypes: ['Pow'],
  flops: [4, 6],
  attributes(_node, context) {
    const exponent = context.scalar(1);
    if (exponent !== undefined) return { exponent };
    const what = context.computed(1) ? 'that is computed' : `of shape [${context.shape(1)}]`;
    throw new OpError(`Pow has an exponent ${what}; expected one constant number`);
  },
  forward: ({ math, attributes }, x) => math.pow(x, numberAttribute(attributes, 'exponent')),
  gradient({ math, attributes }, dy, x) {
    const exponent = numberAttribute(attributes, 'exponent');
    // The slope of x^1 is 1 at 0 too, since 0^0 is 1; that of x^0 would be 0 / 0 there.
    if (exponent === 0) return math.mul(dy, 0);
    return math.mul(dy, math.mul(exponent, math.pow(x(), exponent - 1)));
  },
});

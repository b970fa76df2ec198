import { binaryOp } from './binary.ts';
import type { OpDefinition } from './op.ts';

/** y = a / b with broadcasting; da = dy / b, db = -dy * a / b^2. */
export const div: OpDefinition = binaryOp({
  kind: 'div',
  onnxType: 'Div',
  backwardFlops: 5,
  forward: (math, a, b) => math.div(a, b),
  gradient(math, operand, a, b, dy) {
    const scaled = math.div(dy, b());
    return operand === 0 ? scaled : math.apply('Neg', math.mul(scaled, math.div(a(), b())));
  },
});

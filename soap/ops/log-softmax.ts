import { arithmetic } from './arithmetic.ts';
import type { OpDefinition } from './op.ts';
import { softmaxOp } from './softmax-parts.ts';

/** y = x - log of the sum of exp(x) along `axis`; dx = dy - exp(y) * sum of dy. */
export const logSoftmax: OpDefinition = softmaxOp({
  kind: 'logSoftmax',
  onnxType: 'LogSoftmax',
  normalized(emit, x, { largest, total }) {
    const math = arithmetic(emit);
    return math.sub(math.sub(x, largest), math.apply('Log', total));
  },
  summed: (_emit, _y, dy) => dy,
  gradient(emit, y, dy, total) {
    const math = arithmetic(emit);
    return math.sub(dy, math.mul(math.apply('Exp', y), total));
  },
});

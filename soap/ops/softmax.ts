import { arithmetic } from './arithmetic.ts';
import type { OpDefinition } from './op.ts';
import { softmaxOp } from './softmax-parts.ts';

/** y = exp(x) / sum of exp(x) along `axis`; dx = y * (dy - sum of dy * y). */
export const softmax: OpDefinition = softmaxOp({
  kind: 'softmax',
  onnxType: 'Softmax',
  normalized(emit, x, { largest, total }) {
    const math = arithmetic(emit);
    return math.div(math.apply('Exp', math.sub(x, largest)), total);
  },
  summed: (emit, y, dy) => arithmetic(emit).mul(dy, y),
  gradient(emit, y, dy, total) {
    const math = arithmetic(emit);
    return math.mul(y, math.sub(dy, total));
  },
});

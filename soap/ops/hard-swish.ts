import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = x * min(max(x / 6 + 1/2, 0), 1). Source: Howard et al., "Searching for MobileNetV3", 2019, section 5.2. */
export const hardSwish: OpDefinition = unaryOp({
  kind: 'hardSwish',
  onnxTypes: ['HardSwish'],
  flops: [5, 6],
  forward: ({ math }, x) => math.apply('HardSwish', x),
  gradient: ({ math }, dy, x) => {
    const slope = math.where(math.greater(x(), 3), 1, math.add(math.div(x(), 3), 0.5));
    return math.mul(dy, math.where(math.greater(x(), -3), slope, 0));
  },
});

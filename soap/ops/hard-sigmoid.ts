import { float } from './emitter.ts';
import { numberAttribute } from './op.ts';
import type { OpDefinition } from './op.ts';
import { floatAttribute, unaryOp } from './unary.ts';

/** y = min(max(alpha * x + beta, 0), 1). */
export const hardSigmoid: OpDefinition = unaryOp({
  kind: 'hardSigmoid',
  onnxTypes: ['HardSigmoid'],
  flops: [4, 4],
  attributes: (node) => ({ alpha: floatAttribute(node, 'alpha', 0.2), beta: floatAttribute(node, 'beta', 0.5) }),
  forward: ({ emit, attributes }, x) => {
    const [alpha, beta] = [numberAttribute(attributes, 'alpha'), numberAttribute(attributes, 'beta')];
    return emit.node('HardSigmoid', [x], x.shape, { alpha: float(alpha), beta: float(beta) });
  },
  gradient: ({ math, attributes }, dy, _x, y) => {
    const slope = math.where(math.greater(y(), 0), numberAttribute(attributes, 'alpha'), 0);
    return math.mul(dy, math.where(math.greater(1, y()), slope, 0));
  },
});

import { float } from './emitter.ts';
import type { OpDefinition } from './op.ts';
import { OpError } from './op.ts';
import { unaryOp } from './unary.ts';

/**
 * y = x * Phi(x), with Phi the normal distribution function: x / 2 * (1 + erf(x / sqrt 2)); dx = dy * (Phi(x) + x * phi(x)).
 * In ONNX files it is Div, Erf, Add, Mul and Mul, or Gelu from operator set 20 on.
 * Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016, section 2.
 */
export const gelu: OpDefinition = unaryOp({
  kind: 'gelu',
  onnxTypes: ['Gelu'],
  flops: [12, 16],
  attributes(node) {
    const approximate = node.attributes['approximate'];
    if (approximate?.type === 'string' && approximate.value !== 'none') {
      throw new OpError(`Gelu has approximate ${approximate.value}; expected none, the exact form, or tanh`);
    }
    return {};
  },
  forward: ({ math }, x) => {
    const doubled = math.add(math.apply('Erf', math.div(x, Math.SQRT2)), 1);
    return math.mul(math.mul(x, doubled), 0.5);
  },
  /** Phi is the sum of a half and half of erf; a HardSigmoid, which cuts off nothing here, has it in one pass, and phi has its factor as a term. */
  gradient: ({ emit, math }, dy, x) => {
    const scaled = math.mul(x(), Math.SQRT1_2);
    const half = { alpha: float(0.5), beta: float(0.5) };
    const distribution = emit.node('HardSigmoid', [math.apply('Erf', scaled)], dy.shape, half);
    const density = math.apply('Exp', math.sub(Math.log(1 / Math.sqrt(2 * Math.PI)), math.mul(scaled, scaled)));
    return math.mul(dy, math.add(distribution, math.mul(x(), density)));
  },
});

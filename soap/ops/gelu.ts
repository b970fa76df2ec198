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
      throw new OpError(`Gelu has approximate ${approximate.value}; expected none, the exact form`);
    }
    return {};
  },
  forward: ({ math }, x) => {
    const doubled = math.add(math.apply('Erf', math.div(x, Math.SQRT2)), 1);
    return math.mul(math.mul(x, doubled), 0.5);
  },
  gradient: ({ math }, dy, x) => {
    const phi = math.mul(math.apply('Exp', math.mul(math.mul(x(), x()), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    const distribution = math.mul(math.add(math.apply('Erf', math.div(x(), Math.SQRT2)), 1), 0.5);
    return math.mul(dy, math.add(distribution, math.mul(x(), phi)));
  },
});

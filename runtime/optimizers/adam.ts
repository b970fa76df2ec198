import type { AdamSettings } from '../../soap/job/training-job.ts';
import type { UpdateRule } from './update-rule.ts';

/**
 * Adam, where weight decay is part of the gradient, and AdamW, where it shrinks the weight.
 *
 * Source: torch.optim.Adam and AdamW, without amsgrad; Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015;
 * Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
 */
export function adam({ name, betas: [beta1, beta2], epsilon, weightDecay }: AdamSettings): UpdateRule {
  const decoupled = name === 'adamw';
  return {
    name,
    rates(step, learningRate) {
      const [correction1, correction2] = [1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1)];
      return [learningRate / correction1, 1 / Math.sqrt(correction2), 1 - learningRate * weightDecay];
    },
    emit({ add, subtract, multiply, divide, squareRoot }, { weight: old, gradient: given, state, rate }) {
      const decays = weightDecay !== 0;
      const gradient = decays && !decoupled ? add(given, multiply(old, weightDecay)) : given;
      const weight = decays && decoupled ? multiply(old, rate(2)) : old;
      const average = add(state(0), multiply(subtract(gradient, state(0)), 1 - beta1));
      const squares = multiply(multiply(gradient, gradient), 1 - beta2);
      const squareAverage = add(multiply(state(1), beta2), squares);
      const denominator = add(multiply(squareRoot(squareAverage), rate(1)), epsilon);
      const step = divide(multiply(average, rate(0)), denominator);
      return { weight: subtract(weight, step), states: [average, squareAverage] };
    },
  };
}

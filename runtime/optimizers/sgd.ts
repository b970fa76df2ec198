import type { SgdSettings } from '../../soap/job/training-job.ts';
import type { UpdateRule } from './update-rule.ts';

/**
 * Stochastic gradient descent. Source: torch.optim.SGD with dampening 0. Its first step sets the momentum buffer to the
 * gradient, which a zero buffer gives too.
 */
export function sgd({ momentum, nesterov, weightDecay }: SgdSettings): UpdateRule {
  return {
    name: 'sgd',
    rates: (_step, learningRate) => [learningRate],
    emit({ add, subtract, multiply }, { weight, gradient: given, state, rate }) {
      const gradient = weightDecay === 0 ? given : add(given, multiply(weight, weightDecay));
      const moved = (direction: typeof gradient): typeof gradient => subtract(weight, multiply(direction, rate(0)));
      if (momentum === 0) return { weight: moved(gradient), states: [] };
      const velocity = add(multiply(state(0), momentum), gradient);
      const direction = nesterov ? add(gradient, multiply(velocity, momentum)) : velocity;
      return { weight: moved(direction), states: [velocity] };
    },
  };
}

import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { adam } from './adam.ts';
import { sgd } from './sgd.ts';
import type { UpdateRule } from './update-rule.ts';
import { updateKernel } from './update-rule.ts';

/** An optimizer of one job. */
export interface Optimizer {
  /**
   * The update of a shard of so many elements; {@link updateKernel} says what it reads and writes.
   * @param terms of the gradient; 1 where left out
   */
  kernel(elements: number, terms?: number): OnnxGraph;
  /**
   * What the kernels read as `rates` in a step.
   * @param step counted from 0
   * @param gradientScale what gradients are multiplied with first
   */
  rates(step: number, learningRate: number, gradientScale: number): readonly number[];
}

/** @param scalesGradients whether gradients are multiplied with a factor first; without, it must be 1 */
export function createOptimizer(settings: OptimizerSettings, scalesGradients: boolean): Optimizer {
  const rule = updateRule(settings);
  return {
    kernel: (elements, terms = 1) => updateKernel(rule, elements, scalesGradients, terms),
    rates: (step, learningRate, gradientScale) => [
      ...(scalesGradients ? [gradientScale] : []),
      ...rule.rates(step, learningRate),
    ],
  };
}

function updateRule(settings: OptimizerSettings): UpdateRule {
  switch (settings.name) {
    case 'sgd':
      return sgd(settings);
    case 'adam':
    case 'adamw':
      return adam(settings);
  }
}

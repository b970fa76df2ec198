import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { Value } from '../../soap/ops/emitter.ts';
import { ALONE, Emitter } from '../../soap/ops/emitter.ts';

/**
 * The update of a shard as an elementwise kernel, safe to run in place: `input0` weight, `input1` gradient, `input2`
 * momentum buffer (with momentum) -> `output0` weight, `output1` momentum buffer.
 *
 * Source: torch.optim.SGD with dampening 0. Its first step sets the buffer to the gradient, which a zero buffer gives too.
 */
export function sgdKernel(settings: OptimizerSettings, elements: number): OnnxGraph {
  const buffer = (name: string): Value => ({ name, dtype: 'float32', shape: [elements] });
  const frame = {
    inputs: ['input0', 'input1', 'input2'].map(buffer),
    outputs: [],
    saved: [],
    wantsGradInput: [],
    group: ALONE,
  };
  const emit = new Emitter(frame);
  const scaled = (value: Value, factor: number): Value => emit.node('Mul', [value, emit.scalar(factor)], [elements]);
  const sum = (a: Value, b: Value): Value => emit.node('Add', [a, b], [elements]);

  const weight = emit.input(0);
  const { momentum, weightDecay, nesterov, learningRate } = settings;
  let gradient = emit.input(1);
  if (weightDecay !== 0) gradient = sum(gradient, scaled(weight, weightDecay));
  let direction = gradient;
  if (momentum !== 0) {
    const velocity = sum(scaled(emit.input(2), momentum), gradient);
    emit.setOutput(1, velocity);
    direction = nesterov ? sum(gradient, scaled(velocity, momentum)) : velocity;
  }
  emit.setOutput(0, emit.node('Sub', [weight, scaled(direction, learningRate)], [elements]));
  return emit.build('sgd');
}

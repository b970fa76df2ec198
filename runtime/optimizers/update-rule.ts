import { OPTIMIZER_STATES } from '../../soap/job/optimizer-states.ts';
import type { OptimizerName } from '../../soap/job/training-job.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { Value } from '../../soap/ops/emitter.ts';
import { ALONE, Emitter } from '../../soap/ops/emitter.ts';

/** How an optimizer changes a weight, element by element. */
export interface UpdateRule {
  readonly name: OptimizerName;
  /** Numbers that change from step to step. `step` counts from 0. */
  rates(step: number, learningRate: number): readonly number[];
  /** Emits the new weight and the new state, in the order of {@link OPTIMIZER_STATES}; undefined for a state that stays. */
  emit(math: Elementwise, values: UpdateValues): { weight: Value; states: readonly (Value | undefined)[] };
}

export interface UpdateValues {
  readonly weight: Value;
  readonly gradient: Value;
  readonly state: (index: number) => Value;
  readonly rate: (index: number) => Value;
}

/** Arithmetic on tensors of one shape and numbers. */
export interface Elementwise {
  readonly add: (a: Value, b: Value | number) => Value;
  readonly subtract: (a: Value, b: Value) => Value;
  readonly multiply: (a: Value, b: Value | number) => Value;
  readonly divide: (a: Value, b: Value) => Value;
  readonly squareRoot: (a: Value) => Value;
}

/**
 * The update of a shard as one kernel, safe to run in place: `weight`, `gradient`, `state0`... and the scalars `rate0`... ->
 * `output0` the weight, `output1`... the states that change. With `scalesGradients`, `rate0` is the factor of the gradient and
 * the rule's rates come after it. With several terms, `gradient0`... take the place of `gradient`; they are added up in this order.
 */
export function updateKernel(rule: UpdateRule, elements: number, scalesGradients: boolean, terms: number): OnnxGraph {
  const states = OPTIMIZER_STATES[rule.name].map((_, index) => `state${index}`);
  const first = scalesGradients ? 1 : 0;
  const rates = rule.rates(0, 0).map((_, index) => `rate${first + index}`);
  const tensor = (name: string): Value => ({ name, dtype: 'float32', shape: [elements] });
  const scalar = (name: string): Value => ({ name, dtype: 'float32', shape: [] });
  const gradients = gradientNames(terms);
  const inputs = [...['weight', ...gradients, ...states].map(tensor), ...['rate0', ...rates].map(scalar)];
  const emit = new Emitter({ inputs, outputs: [], saved: [], wantsGradInput: [], group: ALONE });
  const named = (name: string): Value => emit.input(inputs.findIndex((input) => input.name === name));
  const math = elementwise(emit, elements);
  const gradient = gradients.map(named).reduce((sum, term) => math.add(sum, term));
  const result = rule.emit(math, {
    weight: named('weight'),
    gradient: scalesGradients ? math.multiply(gradient, named('rate0')) : gradient,
    state: (index) => named(states[index]!),
    rate: (index) => named(rates[index]!),
  });
  emit.setOutput(0, result.weight);
  result.states.forEach((state, index) => {
    if (state !== undefined) emit.setOutput(index + 1, state);
  });
  return emit.build(rule.name);
}

/** What an update kernel calls the terms of its gradient. */
export function gradientNames(terms: number): string[] {
  return terms === 1 ? ['gradient'] : Array.from({ length: terms }, (_, index) => `gradient${index}`);
}

function elementwise(emit: Emitter, elements: number): Elementwise {
  const value = (operand: Value | number): Value => (typeof operand === 'number' ? emit.scalar(operand) : operand);
  const node = (type: string, ...operands: (Value | number)[]): Value =>
    emit.node(type, operands.map(value), [elements]);
  return {
    add: (a, b) => node('Add', a, b),
    subtract: (a, b) => node('Sub', a, b),
    multiply: (a, b) => node('Mul', a, b),
    divide: (a, b) => node('Div', a, b),
    squareRoot: (a) => node('Sqrt', a),
  };
}

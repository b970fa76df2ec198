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

/** What an update kernel changes. */
export interface UpdateForm {
  /** Elements of pieces of a shard, which are updated one after the other. */
  readonly lengths: readonly number[];
  /** What a gradient is the sum of. */
  readonly terms: number;
  /** Whether gradients are multiplied with a factor first. */
  readonly scalesGradients: boolean;
}

/**
 * The update of pieces of a shard as one kernel, safe to run in place; {@link updateNames} has the names. The scalars `rate0`... are
 * the rule's rates; with `scalesGradients`, `rate0` is the factor of the gradients and the rates come after it. Terms of a
 * gradient are added up in their order.
 */
export function updateKernel(rule: UpdateRule, { lengths, terms, scalesGradients }: UpdateForm): OnnxGraph {
  const states = OPTIMIZER_STATES[rule.name].length;
  const first = scalesGradients ? 1 : 0;
  const rates = rule.rates(0, 0).map((_, index) => `rate${first + index}`);
  const pieces = lengths.map((elements, piece) => ({ elements, names: updateNames(piece, terms, states) }));
  const inputs = [
    ...pieces.flatMap(({ elements, names: { weight, gradients, states: kept } }) =>
      [weight, ...gradients, ...kept].map((name): Value => ({ name, dtype: 'float32', shape: [elements] })),
    ),
    ...['rate0', ...rates].map((name): Value => ({ name, dtype: 'float32', shape: [] })),
  ];
  const emit = new Emitter({ inputs, outputs: [], saved: [], wantsGradInput: [], group: ALONE });
  const indices = new Map(inputs.map(({ name }, index) => [name, index]));
  const named = (name: string): Value => emit.input(indices.get(name)!);
  for (const [piece, { elements, names }] of pieces.entries()) {
    const math = elementwise(emit, elements);
    const gradient = names.gradients.map(named).reduce((sum, term) => math.add(sum, term));
    const result = rule.emit(math, {
      weight: named(names.weight),
      gradient: scalesGradients ? math.multiply(gradient, named('rate0')) : gradient,
      state: (index) => named(names.states[index]!),
      rate: (index) => named(rates[index]!),
    });
    [result.weight, ...result.states].forEach((value, index) => {
      if (value !== undefined) emit.setOutput(piece * (1 + states) + index, value);
    });
  }
  return emit.build(rule.name);
}

/** What an update kernel calls the memory of a piece. */
export interface UpdateNames {
  readonly weight: string;
  /** The terms, in order. */
  readonly gradients: readonly string[];
  readonly states: readonly string[];
  /** The new weight, then the new states; the kernel has no output for a state that stays. */
  readonly outputs: readonly string[];
}

/** The names of a piece, from 0: `weight`, `gradient` (or `gradient0`...), `state0`..., of later ones with their number behind `_`. */
export function updateNames(piece: number, terms: number, states: number): UpdateNames {
  const name = (text: string): string => (piece === 0 ? text : `${text}_${piece}`);
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
  return {
    weight: name('weight'),
    gradients: terms === 1 ? [name('gradient')] : numbers(terms).map((index) => name(`gradient${index}`)),
    states: numbers(states).map((index) => name(`state${index}`)),
    outputs: numbers(1 + states).map((index) => `output${piece * (1 + states) + index}`),
  };
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

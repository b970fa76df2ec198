import type { Attributes } from '../graph/graph.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';

const ONE = int(1);

/** What one step of a cell reads: N samples, the C units of the part out of H, `gates` row blocks. */
export interface CellStep {
  readonly emit: Emitter;
  readonly attributes: Attributes;
  /** [N, C]. */
  readonly shape: readonly [samples: number, units: number];
  /** x W^T with the input bias, and the recurrent one where the cell adds them up: [N, gates * C]. */
  readonly projected: Value;
  /** The hidden state of all units before the step, [N, H]; undefined where it is zeros. */
  readonly hidden: Value | undefined;
  /** The hidden state of the part's units before the step, [N, C]. */
  ownHidden(): Value;
  /** The second state before the step, [N, C]; undefined where it is zeros, or the cell has none. */
  readonly memory: Value | undefined;
  /** [gates * C, H]. */
  readonly recurrentWeight: Value;
  /** [gates * C]; undefined where the biases are added up, or there are none. */
  readonly recurrentBias: Value | undefined;
}

/** What a step of a cell gives, [N, C] each. */
export interface CellResult {
  readonly hidden: Value;
  readonly memory?: Value;
  /** What only the backward pass reads: as many as the cell says that it saves. */
  readonly saved: readonly Value[];
}

/** What a step of a cell reads on the way back. */
export interface CellStepBack extends Pick<
  CellStep,
  'emit' | 'attributes' | 'shape' | 'memory' | 'ownHidden' | 'recurrentWeight'
> {
  readonly saved: readonly Value[];
  /** The states after the step, [N, C]. */
  readonly newHidden: () => Value;
  readonly newMemory: () => Value;
  /** Gradients of the states after the step, [N, C]. */
  readonly gradHidden: Value;
  readonly gradMemory: Value | undefined;
}

/** Consecutive row blocks of the recurrent weight, and what they are multiplied by. */
export interface RecurrentBlock {
  /** Gradient of the product, [N, blocks * C]. */
  readonly gradient: Value;
  /** [N, H]; the hidden state before the step where left out. */
  readonly operand?: Value;
}

/** The gradients a step of a cell hands back. */
export interface CellGradients {
  /** Of `projected`, [N, gates * C]. */
  readonly projected: Value;
  /** All rows in order; the first block is multiplied by the hidden state. */
  readonly recurrent: readonly RecurrentBlock[];
  /** Of the states before the step, without what comes through the first block; [N, C]. */
  readonly hidden?: Value;
  readonly memory?: Value;
}

/** What tells one kind of recurrent layer from another. */
export interface RecurrentCell {
  readonly kind: string;
  /** Row blocks of its weights. */
  readonly gates: number;
  /** Whether it has a second state beside the hidden one. */
  readonly hasMemory: boolean;
  /** Operations on each unit in a step beside the matrix products. */
  readonly flopsPerUnit: number;
  /** Whether units can be computed apart: false where a product needs what all units have computed in the same step. */
  splitsUnits(attributes: Attributes): boolean;
  /** Whether input and recurrent bias come to the same. */
  addsBiases(attributes: Attributes): boolean;
  /** Number of values that a step saves beside the second state. */
  saves(attributes: Attributes): number;
  forward(step: CellStep): CellResult;
  backward(step: CellStepBack): CellGradients;
}

/** s (1 - s): the derivative of the logistic function by its value. */
export function sigmoidSlope(emit: Emitter, s: Value): Value {
  return emit.node('Sub', [s, emit.node('Mul', [s, s], s.shape)], s.shape);
}

/** 1 - t^2: the derivative of tanh by its value. */
export function tanhSlope(emit: Emitter, t: Value): Value {
  return emit.node('Sub', [emit.scalar(1), emit.node('Mul', [t, t], t.shape)], t.shape);
}

/** The product of two tensors of one shape. */
export function times(emit: Emitter, a: Value, b: Value): Value {
  return emit.node('Mul', [a, b], a.shape);
}

/**
 * state W^T + added, for a state [N, H] and a weight [rows, H]. Where there are fewer samples than rows, the weight goes first
 * and the product is transposed: the library packs its second operand anew in every step.
 */
export function recurrentProduct(emit: Emitter, state: Value, weight: Value, added: Value): Value {
  const [samples, rows] = [state.shape[0]!, weight.shape[0]!];
  if (samples >= rows) return emit.node('Gemm', [state, weight, added], [samples, rows], { transB: ONE });
  const product = emit.node('Gemm', [weight, state], [rows, samples], { transB: ONE });
  return emit.node('Add', [emit.transpose(product, [1, 0]), added], [samples, rows]);
}

/** The columns of a matrix in blocks. */
export function columns(emit: Emitter, matrix: Value, widths: readonly number[]): readonly Value[] {
  return splitAlong(emit, matrix, 1, widths);
}

/** A tensor cut along an axis. */
export function splitAlong(emit: Emitter, value: Value, axis: number, sizes: readonly number[]): readonly Value[] {
  if (sizes.length === 1) return [value];
  const results = sizes.map((size) => ({ dtype: value.dtype, shape: value.shape.with(axis, size) }));
  return emit.nodes('Split', [value, emit.ints(sizes)], results, { axis: { type: 'int', value: axis } });
}

/** Tensors put together along an axis. */
export function concatAlong(emit: Emitter, values: readonly Value[], axis: number): Value {
  const [first] = values;
  if (values.length === 1) return first!;
  const extent = values.reduce((sum, { shape }) => sum + shape[axis]!, 0);
  return emit.node('Concat', values, first!.shape.with(axis, extent), { axis: { type: 'int', value: axis } });
}

/** Zeros of a shape. */
export function zeros(emit: Emitter, shape: readonly number[]): Value {
  return emit.node('Expand', [emit.scalar(0), emit.ints(shape)], shape);
}

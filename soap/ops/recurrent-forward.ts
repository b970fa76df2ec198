import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { Part } from './op.ts';
import type { RecurrentCell } from './recurrent-cell.ts';
import { concatAlong, splitAlong, zeros } from './recurrent-cell.ts';
import type { RecurrentOperands } from './recurrent-operands.ts';
import { recurrentOperands } from './recurrent-operands.ts';

/** A part of a recurrent op: N samples, so many steps, C of the H units. */
export interface RecurrentPart {
  readonly at: RecurrentOperands;
  readonly samples: number;
  readonly steps: number;
  readonly units: number;
  /** The first of the part's units among the H. */
  readonly firstUnit: number;
  readonly allUnits: number;
  /** Rows of the part's weights: gates * C. */
  readonly rows: number;
  /** Positions among the steps in the order in which they are run through. */
  readonly order: readonly number[];
}

/** The sizes of a part. */
export function recurrentPart(cell: RecurrentCell, { signature, output }: Part): RecurrentPart {
  const [samples, steps, units] = output.map(([start, end]) => end - start);
  const order = Array.from({ length: steps! }, (_, step) => step);
  return {
    at: recurrentOperands(cell, signature.attributes, signature.inputs),
    samples: samples!,
    steps: steps!,
    units: units!,
    firstUnit: output[2]![0],
    allUnits: signature.outputs[0]![2]!,
    rows: cell.gates * units!,
    order: signature.attributes['reverse'] === true ? order.reverse() : order,
  };
}

/**
 * The forward kernel. The inputs of all steps are projected by one product, since they do not wait for each other; each
 * step then adds the product of its hidden state. Of each step it saves what the cell says, then the second state, where
 * the cell has one and it is no output.
 */
export function recurrentForward(cell: RecurrentCell, emit: Emitter, part: Part): void {
  const { attributes } = part.signature;
  const sizes = recurrentPart(cell, part);
  const { at, samples, units, rows, order } = sizes;
  const shape = [samples, units] as const;
  const biases = biasRows(emit, sizes);
  const added = biases && cell.addsBiases(attributes) ? emit.node('Add', [...biases], [rows]) : undefined;
  const projected = projections(emit, sizes, added ?? biases?.[0]);
  const recurrentWeight = emit.reshape(emit.input(at.recurrentWeight), [rows, sizes.allUnits]);
  let hidden = at.hidden === undefined ? undefined : emit.input(at.hidden);
  let memory = at.memory === undefined ? undefined : emit.input(at.memory);
  const results: Value[] = [];
  let saved = 0;
  for (const [position, step] of order.entries()) {
    const before = hidden;
    const result = cell.forward({
      emit,
      attributes,
      shape,
      projected: projected[step]!,
      hidden,
      ownHidden: () => ownUnits(emit, sizes, before),
      memory,
      recurrentWeight,
      recurrentBias: added === undefined ? biases?.[1] : undefined,
    });
    for (const value of result.saved) emit.save(saved++, value);
    if (result.memory !== undefined && position < order.length - 1) emit.save(saved++, result.memory);
    hidden = result.hidden;
    memory = result.memory;
    results[step] = hidden;
  }
  emit.setOutput(0, overSteps(emit, results));
  emit.setOutput(1, hidden!);
  if (memory !== undefined) emit.setOutput(2, memory);
}

/** [N, C] of each step as [N, steps, C]. */
export function overSteps(emit: Emitter, values: readonly Value[]): Value {
  return concatAlong(
    emit,
    values.map((value) => emit.reshape(value, [value.shape[0]!, 1, value.shape[1]!])),
    1,
  );
}

/** [N, steps, C] as [N, C] of each step. */
export function eachStep(emit: Emitter, value: Value): Value[] {
  const [samples, steps, units] = value.shape;
  const pieces = splitAlong(
    emit,
    value,
    1,
    Array.from({ length: steps! }, () => 1),
  );
  return pieces.map((piece) => emit.reshape(piece, [samples!, units!]));
}

/** The part's units of a hidden state; zeros where it is not there. */
export function ownUnits(emit: Emitter, sizes: RecurrentPart, hidden: Value | undefined): Value {
  const { samples, units, firstUnit, allUnits } = sizes;
  if (hidden === undefined) return zeros(emit, [samples, units]);
  if (units === allUnits) return hidden;
  const bounds = [emit.ints([firstUnit]), emit.ints([firstUnit + units]), emit.ints([1])];
  return emit.node('Slice', [hidden, ...bounds], [samples, units]);
}

/** Input and recurrent bias, [gates * C] each. */
function biasRows(emit: Emitter, { at, rows }: RecurrentPart): readonly [Value, Value] | undefined {
  const [first, second] = at.biases;
  if (first === undefined) return undefined;
  if (second !== undefined) return [emit.reshape(emit.input(first), [rows]), emit.reshape(emit.input(second), [rows])];
  const [input, recurrent] = splitAlong(emit, emit.input(first), 0, [1, 1]);
  return [emit.reshape(input!, [rows]), emit.reshape(recurrent!, [rows])];
}

/** x W^T and a bias of each step, [N, gates * C]. */
function projections(emit: Emitter, { at, samples, steps, rows }: RecurrentPart, bias: Value | undefined): Value[] {
  const width = emit.input(at.x).shape[2]!;
  const x = emit.reshape(emit.input(at.x), [samples * steps, width]);
  const weight = emit.reshape(emit.input(at.inputWeight), [rows, width]);
  const operands = bias === undefined ? [x, weight] : [x, weight, bias];
  const product = emit.node('Gemm', operands, [samples * steps, rows], { transB: int(1) });
  return eachStep(emit, emit.reshape(product, [samples, steps, rows]));
}

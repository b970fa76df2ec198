import type { Emitter, Value } from './emitter.ts';
import type { Part } from './op.ts';
import type { CellGradients, RecurrentBlock, RecurrentCell } from './recurrent-cell.ts';
import { concatAlong, recurrentProduct, zeros } from './recurrent-cell.ts';
import type { RecurrentPart } from './recurrent-forward.ts';
import { eachStep, overSteps, ownUnits, recurrentPart } from './recurrent-forward.ts';

/** From so many steps on, the recurrent weight is transposed once for all of them. Source: measured, docs/performance/kernels.md. */
const MANY_STEPS = 8;

/**
 * The backward kernel: backpropagation through the steps. Each step hands the gradient of its hidden state on through the
 * recurrent weight; gradients of x and of the weights are one product each over all steps, written as matrices: the
 * memory is that of the input's box.
 */
export function recurrentBackward(cell: RecurrentCell, emit: Emitter, part: Part): void {
  const sizes = recurrentPart(cell, part);
  const { at, rows } = sizes;
  const gradients = stepGradients(cell, emit, part, sizes);
  const projected = flat(
    emit,
    gradients.map((each) => each.projected),
  );
  const [samples, steps, width] = part.inputs[at.x]!.map(([start, end]) => end - start);
  if (emit.wantsGradInput(at.x)) {
    const weight = emit.reshape(emit.input(at.inputWeight), [rows, width!]);
    emit.setGradInput(at.x, emit.node('Gemm', [projected, weight], [samples! * steps!, width!]));
  }
  if (emit.wantsGradInput(at.inputWeight)) {
    const x = emit.reshape(emit.input(at.x), [samples! * steps!, width!]);
    emit.setGradInput(at.inputWeight, outerProduct(emit, projected, x));
  }
  const blocks = gradients[0]!.recurrent.map((_, block) => gradients.map((each) => each.recurrent[block]!));
  if (emit.wantsGradInput(at.recurrentWeight)) {
    const products = blocks.map((block) => recurrentWeightGradient(emit, sizes, block));
    emit.setGradInput(at.recurrentWeight, concatAlong(emit, products, 0));
  }
  setBiasGradients(cell, emit, part, sizes, projected, blocks[0]!);
}

/** The gradients of every step, by its position in time. Sets those of the states before the first. */
function stepGradients(cell: RecurrentCell, emit: Emitter, part: Part, sizes: RecurrentPart): CellGradients[] {
  const { at, order, samples, units, allUnits, rows } = sizes;
  const { attributes } = part.signature;
  const saves = cell.saves(attributes);
  const perStep = saves + (cell.hasMemory ? 1 : 0);
  const recurrentWeight = emit.reshape(emit.input(at.recurrentWeight), [rows, allUnits]);
  // Worth its time where many steps read it.
  const turned = order.length >= MANY_STEPS ? emit.transpose(recurrentWeight, [1, 0]) : undefined;
  const memoryAfter = (position: number): Value =>
    position === order.length - 1 ? emit.output(2) : emit.saved(position * perStep + saves);
  const memoryBefore = (position: number): Value | undefined => {
    if (position > 0 && cell.hasMemory) return memoryAfter(position - 1);
    return at.memory === undefined ? undefined : emit.input(at.memory);
  };
  const hidden = hiddenStates(emit, sizes);
  const gradY = eachStep(emit, emit.gradOutput(0));
  const gradients: CellGradients[] = [];
  let gradHidden = emit.node('Add', [emit.gradOutput(1), gradY[order.at(-1)!]!], [samples, units]);
  let gradMemory = cell.hasMemory ? emit.gradOutput(2) : undefined;
  for (let position = order.length - 1; position >= 0; position--) {
    const step = order[position]!;
    const each = cell.backward({
      emit,
      attributes,
      shape: [samples, units],
      recurrentWeight,
      saved: Array.from({ length: saves }, (_, k) => emit.saved(position * perStep + k)),
      memory: memoryBefore(position),
      ownHidden: () => hidden.before(position),
      newHidden: () => hidden.after(position),
      newMemory: () => memoryAfter(position),
      gradHidden,
      gradMemory,
    });
    gradients[step] = each;
    gradMemory = each.memory;
    if (position > 0) {
      const gradYBefore = gradY[order[position - 1]!];
      gradHidden = gradHiddenBefore(emit, sizes, each, { recurrentWeight, turned }, gradYBefore);
    }
  }
  const first = gradients[order[0]!]!;
  if (at.hidden !== undefined && emit.wantsGradInput(at.hidden)) {
    emit.setGradInput(at.hidden, gradHiddenBefore(emit, sizes, first, { recurrentWeight, turned }, undefined));
  }
  if (at.memory !== undefined && emit.wantsGradInput(at.memory)) emit.setGradInput(at.memory, gradMemory!);
  return gradients;
}

/** The part's units of the hidden states, by position in the order of the steps; they are cut out of y when first asked for. */
function hiddenStates(emit: Emitter, sizes: RecurrentPart): Record<'before' | 'after', (position: number) => Value> {
  const { at, order } = sizes;
  let results: Value[] | undefined;
  const after = (position: number): Value => {
    results ??= eachStep(emit, emit.output(0));
    return results[order[position]!]!;
  };
  const before = (position: number): Value =>
    position > 0
      ? after(position - 1)
      : ownUnits(emit, sizes, at.hidden === undefined ? undefined : emit.input(at.hidden));
  return { before, after };
}

/** The gradient of the hidden state of all units before a step, with the one that y of the step before has, [N, H]. */
function gradHiddenBefore(
  emit: Emitter,
  { samples, units, firstUnit, allUnits }: RecurrentPart,
  { hidden, recurrent }: CellGradients,
  { recurrentWeight, turned }: { readonly recurrentWeight: Value; readonly turned: Value | undefined },
  gradY: Value | undefined,
): Value {
  const shape = [samples, allUnits];
  const { gradient } = recurrent[0]!;
  const rows = gradient.shape[1]!;
  const weight =
    rows === recurrentWeight.shape[0]
      ? recurrentWeight
      : emit.node('Slice', [recurrentWeight, ...[0, rows, 0].map((bound) => emit.ints([bound]))], [rows, allUnits]);
  const pads = emit.ints([0, firstUnit, 0, allUnits - firstUnit - units]);
  const direct = hidden && units < allUnits ? emit.node('Pad', [hidden, pads], shape) : hidden;
  const added = direct && gradY ? emit.node('Add', [direct, gradY], shape) : (direct ?? gradY);
  if (added !== undefined && turned !== undefined && weight === recurrentWeight) {
    return recurrentProduct(emit, gradient, turned, added);
  }
  return emit.node('Gemm', added === undefined ? [gradient, weight] : [gradient, weight, added], shape);
}

/** The gradient of a block of rows of the recurrent weight, [rows, H]. */
function recurrentWeightGradient(emit: Emitter, sizes: RecurrentPart, block: readonly RecurrentBlock[]): Value {
  const { at, steps, allUnits } = sizes;
  const gradient = flat(
    emit,
    block.map((each) => each.gradient),
  );
  const operands = block.map(({ operand }) => operand).filter((operand) => operand !== undefined);
  if (operands.length > 0) return outerProduct(emit, gradient, flat(emit, operands));
  if (at.hidden === undefined && steps === 1) return zeros(emit, [gradient.shape[1]!, allUnits]);
  return outerProduct(emit, gradient, hiddenBefore(emit, sizes));
}

/** The hidden states before all steps, [N * steps, H]. */
function hiddenBefore(emit: Emitter, { at, samples, steps, allUnits, order }: RecurrentPart): Value {
  const first = at.hidden === undefined ? zeros(emit, [samples, allUnits]) : emit.input(at.hidden);
  if (steps === 1) return first;
  const start = order[0] === 0 ? 0 : 1;
  const bounds = [start, start + steps - 1, 1].map((bound) => emit.ints([bound]));
  const later = emit.node('Slice', [emit.output(0), ...bounds], [samples, steps - 1, allUnits]);
  const earliest = emit.reshape(first, [samples, 1, allUnits]);
  const inTime = start === 0 ? [earliest, later] : [later, earliest];
  return emit.reshape(concatAlong(emit, inTime, 1), [samples * steps, allUnits]);
}

function setBiasGradients(
  cell: RecurrentCell,
  emit: Emitter,
  { signature }: Part,
  { at, rows }: RecurrentPart,
  projected: Value,
  recurrent: readonly RecurrentBlock[],
): void {
  if (!at.biases.some((bias) => emit.wantsGradInput(bias))) return;
  const input = emit.reduceSum(projected, [0]);
  const same = cell.addsBiases(signature.attributes);
  const ofRecurrent = (): Value =>
    emit.reduceSum(
      flat(
        emit,
        recurrent.map(({ gradient }) => gradient),
      ),
      [0],
    );
  const both = [input, same ? input : ofRecurrent()];
  if (at.biases.length === 2) at.biases.forEach((bias, i) => emit.setGradInput(bias, both[i]!));
  else {
    const stacked = both.map((gradient) => emit.reshape(gradient, [1, rows]));
    emit.setGradInput(at.biases[0]!, concatAlong(emit, stacked, 0));
  }
}

/** [N, width] of each step as [N * steps, width]. */
function flat(emit: Emitter, values: readonly Value[]): Value {
  const [samples, width] = values[0]!.shape;
  return emit.reshape(overSteps(emit, values), [samples! * values.length, width!]);
}

/** a^T b. Transposing a first pays: both weights' gradients read it, and products of it are a third faster then. */
function outerProduct(emit: Emitter, a: Value, b: Value): Value {
  return emit.node('Gemm', [emit.transpose(a, [1, 0]), b], [a.shape[1]!, b.shape[1]!]);
}

import type { Attributes } from '../graph/graph.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { OpDefinition } from './op.ts';
import type { CellGradients, CellResult, CellStep, CellStepBack, RecurrentCell } from './recurrent-cell.ts';
import { columns, concatAlong, recurrentProduct, sigmoidSlope, tanhSlope, times, zeros } from './recurrent-cell.ts';
import { recurrentOp } from './recurrent.ts';

/** Whether the reset gate scales the product R h, as in PyTorch, or the hidden state that enters it. */
function resetsAfter(attributes: Attributes): boolean {
  return attributes['resetAfter'] !== false;
}

/**
 * Source: torch.nn.GRU; the row blocks of the weights are those of r, z, n. With {resetAfter: false} the ONNX operator's
 * linear_before_reset = 0, https://onnx.ai/onnx/operators/onnx__GRU.html.
 */
const cell: RecurrentCell = {
  kind: 'gru',
  gates: 3,
  hasMemory: false,
  flopsPerUnit: 25,
  splitsUnits: resetsAfter,
  addsBiases: (attributes) => !resetsAfter(attributes),
  saves: (attributes) => (resetsAfter(attributes) ? 4 : 3),
  forward: (step) => (resetsAfter(step.attributes) ? forwardAfter(step) : forwardBefore(step)),
  backward: (step) => (resetsAfter(step.attributes) ? backwardAfter(step) : backwardBefore(step)),
};

function forwardAfter({
  emit,
  shape,
  projected,
  hidden,
  recurrentWeight,
  recurrentBias,
  ...step
}: CellStep): CellResult {
  const widths = [shape[1], shape[1], shape[1]];
  const [samples] = shape;
  const state = hidden ?? zeros(emit, [samples, recurrentWeight.shape[1]!]);
  const operands = [state, recurrentWeight, ...(recurrentBias === undefined ? [] : [recurrentBias])];
  const product = emit.node('Gemm', operands, projected.shape, { transB: int(1) });
  const [xr, xz, xn] = columns(emit, projected, widths);
  const [hr, hz, hn] = columns(emit, product, widths);
  const r = emit.node('Sigmoid', [emit.node('Add', [xr!, hr!], shape)], shape);
  const z = emit.node('Sigmoid', [emit.node('Add', [xz!, hz!], shape)], shape);
  const n = emit.node('Tanh', [emit.node('Add', [xn!, times(emit, r, hn!)], shape)], shape);
  return { hidden: mixed(emit, z, n, step.ownHidden()), saved: [r, z, n, hn!] };
}

function backwardAfter({ emit, saved, gradHidden, ...step }: CellStepBack): CellGradients {
  const [r, z, n, hn] = [saved[0]!, saved[1]!, saved[2]!, saved[3]!];
  const { gradN, gradZ, kept } = mixedBack(emit, z, n, step.ownHidden(), gradHidden);
  const gradR = times(emit, times(emit, gradN, hn), sigmoidSlope(emit, r));
  return {
    projected: concatAlong(emit, [gradR, gradZ, gradN], 1),
    recurrent: [{ gradient: concatAlong(emit, [gradR, gradZ, times(emit, gradN, r)], 1) }],
    hidden: kept,
  };
}

function forwardBefore({ emit, shape, projected, recurrentWeight, ...step }: CellStep): CellResult {
  const [, units] = shape;
  const state = step.ownHidden();
  const [gateRows, candidateRows] = rowBlocks(emit, recurrentWeight, units);
  const [xGates, xn] = columns(emit, projected, [2 * units, units]);
  const sums = recurrentProduct(emit, state, gateRows, xGates!);
  const [r, z] = columns(emit, emit.node('Sigmoid', [sums], sums.shape), [units, units]);
  const reset = times(emit, r!, state);
  const candidate = recurrentProduct(emit, reset, candidateRows, xn!);
  const n = emit.node('Tanh', [candidate], shape);
  return { hidden: mixed(emit, z!, n, state), saved: [r!, z!, n] };
}

function backwardBefore({ emit, shape, saved, gradHidden, recurrentWeight, ...step }: CellStepBack): CellGradients {
  const [r, z, n] = [saved[0]!, saved[1]!, saved[2]!];
  const state = step.ownHidden();
  const { gradN, gradZ, kept } = mixedBack(emit, z, n, state, gradHidden);
  const [, candidateRows] = rowBlocks(emit, recurrentWeight, shape[1]);
  const gradReset = emit.node('Gemm', [gradN, candidateRows], shape);
  const gradR = times(emit, times(emit, gradReset, state), sigmoidSlope(emit, r));
  const gates = concatAlong(emit, [gradR, gradZ], 1);
  return {
    projected: concatAlong(emit, [gates, gradN], 1),
    recurrent: [{ gradient: gates }, { gradient: gradN, operand: times(emit, r, state) }],
    hidden: emit.node('Add', [kept, times(emit, gradReset, r)], shape),
  };
}

/** The rows of r and z, and those of n. */
function rowBlocks(emit: Emitter, weight: Value, units: number): [gates: Value, candidate: Value] {
  const width = weight.shape[1]!;
  const rows = (start: number, end: number): Value =>
    emit.node('Slice', [weight, emit.ints([start]), emit.ints([end]), emit.ints([0])], [end - start, width]);
  return [rows(0, 2 * units), rows(2 * units, 3 * units)];
}

/** (1 - z) n + z h. */
function mixed(emit: Emitter, z: Value, n: Value, h: Value): Value {
  return emit.node('Add', [n, times(emit, z, emit.node('Sub', [h, n], z.shape))], z.shape);
}

/** Gradients before the activations of n and z, and what of h is kept. */
function mixedBack(
  emit: Emitter,
  z: Value,
  n: Value,
  h: Value,
  gradient: Value,
): Record<'gradN' | 'gradZ' | 'kept', Value> {
  const kept = times(emit, gradient, z);
  const taken = emit.node('Sub', [gradient, kept], z.shape);
  const difference = emit.node('Sub', [h, n], z.shape);
  return {
    gradN: times(emit, taken, tanhSlope(emit, n)),
    gradZ: times(emit, times(emit, gradient, difference), sigmoidSlope(emit, z)),
    kept,
  };
}

/**
 * Consecutive steps of a gated recurrent layer: x [N, S, in], hidden state [N, H], weights [3, H, in] and [3, H, H], bias
 * -> [N, steps, H], and the state after the last step. See {@link recurrentOp}.
 *
 * r, z = sigmoid(x W^T + h R^T + biases); n = tanh(x Wn^T + bn + r (h Rn^T + bn')); h' = (1 - z) n + z h. With
 * {resetAfter: false}, n = tanh(x Wn^T + bn + (r h) Rn^T + bn'), and units cannot be split.
 */
export const gru: OpDefinition = recurrentOp(cell);

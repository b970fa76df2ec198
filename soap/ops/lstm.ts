import type { OpDefinition } from './op.ts';
import type { RecurrentCell } from './recurrent-cell.ts';
import { columns, concatAlong, recurrentProduct, sigmoidSlope, tanhSlope, times, zeros } from './recurrent-cell.ts';
import { recurrentOp } from './recurrent.ts';

/** Source: torch.nn.LSTM; the row blocks of the weights are those of i, f, g, o. */
const cell: RecurrentCell = {
  kind: 'lstm',
  gates: 4,
  hasMemory: true,
  flopsPerUnit: 30,
  splitsUnits: () => true,
  addsBiases: () => true,
  saves: () => 4,
  forward({ emit, shape, projected, hidden, memory, recurrentWeight }) {
    const sums = hidden === undefined ? projected : recurrentProduct(emit, hidden, recurrentWeight, projected);
    const [a, b, c, d] = columns(
      emit,
      sums,
      Array.from({ length: 4 }, () => shape[1]),
    );
    const i = emit.node('Sigmoid', [a!], shape);
    const f = emit.node('Sigmoid', [b!], shape);
    const g = emit.node('Tanh', [c!], shape);
    const o = emit.node('Sigmoid', [d!], shape);
    const added = times(emit, i, g);
    const kept = memory && times(emit, f, memory);
    const newMemory = kept === undefined ? added : emit.node('Add', [kept, added], shape);
    const newHidden = times(emit, o, emit.node('Tanh', [newMemory], shape));
    return { hidden: newHidden, memory: newMemory, saved: [i, f, g, o] };
  },
  backward({ emit, shape, saved, memory, newMemory, gradHidden, gradMemory }) {
    const [i, f, g, o] = [saved[0]!, saved[1]!, saved[2]!, saved[3]!];
    const squashed = emit.node('Tanh', [newMemory()], shape);
    const throughHidden = times(emit, times(emit, gradHidden, o), tanhSlope(emit, squashed));
    const gradC = gradMemory === undefined ? throughHidden : emit.node('Add', [gradMemory, throughHidden], shape);
    const gradI = times(emit, times(emit, gradC, g), sigmoidSlope(emit, i));
    const gradF = memory ? times(emit, times(emit, gradC, memory), sigmoidSlope(emit, f)) : zeros(emit, shape);
    const gradG = times(emit, times(emit, gradC, i), tanhSlope(emit, g));
    const gradO = times(emit, times(emit, gradHidden, squashed), sigmoidSlope(emit, o));
    const sums = concatAlong(emit, [gradI, gradF, gradG, gradO], 1);
    return { projected: sums, recurrent: [{ gradient: sums }], memory: times(emit, gradC, f) };
  },
};

/**
 * Consecutive steps of a long short-term memory layer: x [N, S, in], hidden and cell state [N, H], weights
 * [4, H, in] and [4, H, H], bias -> [N, steps, H], and both states after the last step. See {@link recurrentOp}.
 *
 * i, f, o = sigmoid and g = tanh of x W^T + h R^T + biases; c' = f c + i g; h' = o tanh(c').
 */
export const lstm: OpDefinition = recurrentOp(cell);

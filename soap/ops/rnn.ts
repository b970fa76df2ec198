import type { OpDefinition } from './op.ts';
import type { RecurrentCell } from './recurrent-cell.ts';
import { recurrentProduct, tanhSlope, times } from './recurrent-cell.ts';
import { recurrentOp } from './recurrent.ts';

/** Source: torch.nn.RNN (Elman). The activation is 'tanh', or 'relu' where the attribute says so. */
const cell: RecurrentCell = {
  kind: 'rnn',
  gates: 1,
  hasMemory: false,
  flopsPerUnit: 5,
  splitsUnits: () => true,
  addsBiases: () => true,
  saves: () => 0,
  forward({ emit, attributes, shape, projected, hidden, recurrentWeight }) {
    const sums = hidden === undefined ? projected : recurrentProduct(emit, hidden, recurrentWeight, projected);
    return { hidden: emit.node(attributes['activation'] === 'relu' ? 'Relu' : 'Tanh', [sums], shape), saved: [] };
  },
  backward({ emit, attributes, shape, newHidden, gradHidden }) {
    const h = newHidden();
    const positive = (): typeof h => emit.node('Greater', [h, emit.scalar(0)], shape, {}, { dtype: 'bool' });
    const gradient =
      attributes['activation'] === 'relu'
        ? emit.node('Where', [positive(), gradHidden, emit.scalar(0)], shape, {}, { dtype: h.dtype })
        : times(emit, gradHidden, tanhSlope(emit, h));
    return { projected: gradient, recurrent: [{ gradient }] };
  },
};

/**
 * Consecutive steps of a simple recurrent layer: x [N, S, in], hidden state [N, H], weights [1, H, in] and [1, H, H], bias
 * -> [N, steps, H], and the state after the last step. See {@link recurrentOp}.
 *
 * h' = tanh(x W^T + h R^T + biases), or relu {activation}.
 */
export const rnn: OpDefinition = recurrentOp(cell);

import type { Attributes, Shape } from '../graph/graph.ts';
import { OpError } from './op.ts';
import type { RecurrentCell } from './recurrent-cell.ts';

/** At which positions the inputs of a recurrent op are. */
export interface RecurrentOperands {
  readonly x: number;
  /** Undefined where the hidden state is zeros. */
  readonly hidden: number | undefined;
  /** Undefined where the second state is zeros, or the cell has none. */
  readonly memory: number | undefined;
  readonly inputWeight: number;
  readonly recurrentWeight: number;
  /** None; one of [2, gates, H], input bias first; or two of [gates, H], input bias first. */
  readonly biases: readonly number[];
}

/** Which states are zeros, and no inputs: all at the start of a sequence, or one of them. */
function zeroStates({ initial }: Attributes): { readonly hidden: boolean; readonly memory: boolean } {
  return { hidden: initial === true || initial === 'hidden', memory: initial === true || initial === 'memory' };
}

/** The positions of the inputs, in the order x, states, weights, biases. */
export function recurrentOperands(
  { hasMemory }: RecurrentCell,
  attributes: Attributes,
  inputs: readonly unknown[],
): RecurrentOperands {
  const zero = zeroStates(attributes);
  let next = 1;
  const hidden = zero.hidden ? undefined : next++;
  const memory = zero.memory || !hasMemory ? undefined : next++;
  const [inputWeight, recurrentWeight] = [next, next + 1];
  return { x: 0, hidden, memory, inputWeight, recurrentWeight, biases: [...inputs.keys()].slice(next + 2) };
}

/** The steps of the sequence that an op runs through: from `start`, `steps` of them; all the rest where left out. */
export function stepsOf(attributes: Attributes, x: Shape): { readonly start: number; readonly steps: number } {
  const { start, steps } = attributes;
  const first = typeof start === 'number' ? start : 0;
  return { start: first, steps: typeof steps === 'number' ? steps : x[1]! - first };
}

/** Shapes of the outputs: y, and the states after the last step. @throws {OpError} where the inputs do not fit */
export function recurrentOutputs(cell: RecurrentCell, inputs: readonly Shape[], attributes: Attributes): Shape[] {
  const { kind, gates, hasMemory } = cell;
  const at = recurrentOperands(cell, attributes, inputs);
  if (inputs.length <= at.recurrentWeight) {
    throw new OpError(`${kind} has ${inputs.length} inputs; expected x, states and weights: ${at.recurrentWeight + 1}`);
  }
  const x = inputs[at.x];
  const weight = inputs[at.inputWeight];
  if (x?.length !== 3) throw new OpError(`${kind} has an input of shape [${x}]; expected [N, S, in]`);
  const [samples, length, width] = [x[0]!, x[1]!, x[2]!];
  const units = weight?.[1];
  if (weight?.length !== 3 || weight[0] !== gates || units === undefined || weight[2] !== width) {
    throw new OpError(`${kind} has an input weight of shape [${weight}]; expected [${gates}, H, ${width}]`);
  }
  const expect = (input: number | undefined, what: string, ...shapes: Shape[]): void => {
    if (input === undefined || shapes.some((shape) => String(shape) === String(inputs[input]))) return;
    const listed = shapes.map((shape) => `[${shape}]`).join(' or ');
    throw new OpError(`${kind} has ${what} of shape [${inputs[input]}]; expected ${listed}`);
  };
  expect(at.recurrentWeight, 'a recurrent weight', [gates, units, units]);
  expect(at.hidden, 'a hidden state', [samples, units]);
  expect(at.memory, 'a cell state', [samples, units]);
  if (at.biases.length > 2) throw new OpError(`${kind} has ${at.biases.length} biases; expected at most two`);
  const biasShape = at.biases.length === 2 ? [gates, units] : [2, gates, units];
  for (const bias of at.biases) expect(bias, 'a bias', biasShape);
  const { start, steps } = stepsOf(attributes, x);
  if (!(start >= 0 && steps >= 1 && start + steps <= length)) {
    throw new OpError(`${kind} runs from step ${start} for ${steps}; expected at least one of the ${length} there are`);
  }
  const state = [samples, units];
  return [[samples, steps, units], state, ...(hasMemory ? [state] : [])];
}

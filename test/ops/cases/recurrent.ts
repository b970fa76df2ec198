import type { Attributes } from '../../../soap/graph/graph.ts';
import type { OpCase, OpInput } from '../../support/op-case.ts';

/** Sizes of the layers below: samples, steps of the sequence, width of the input, hidden units. */
const [N, S, IN, H] = [4, 5, 3, 4];

/** Small enough to keep activations away from saturation. */
const parameter = (...shape: number[]): OpInput => ({
  shape,
  role: 'parameter',
  values: (random) => random.normal() / 2,
});

/** The inputs of a recurrent op. */
function inputs(gates: number, states: number, biases: 'none' | 'one' | 'two'): readonly OpInput[] {
  const kinds = { none: [], one: [parameter(2, gates, H)], two: [parameter(gates, H), parameter(gates, H)] };
  return [
    { shape: [N, S, IN] },
    ...Array.from({ length: states }, () => ({ shape: [N, H] })),
    parameter(gates, H, IN),
    parameter(gates, H, H),
    ...kinds[biases],
  ];
}

const middle: Attributes = { start: 1, steps: 3 };
const one: Attributes = { start: 2, steps: 1 };

const CELLS: readonly OpCase[] = [
  { kind: 'lstm', gates: 4, states: 2, attributes: {} },
  { kind: 'gru', gates: 3, states: 1, attributes: {} },
  { kind: 'gru', gates: 3, states: 1, attributes: { resetAfter: false } },
  { kind: 'rnn', gates: 1, states: 1, attributes: {} },
  { kind: 'rnn', gates: 1, states: 1, attributes: { activation: 'relu' } },
].flatMap(({ kind, gates, states, attributes }): OpCase[] => {
  const said = Object.entries(attributes).map(([name, value]) => ` ${name} ${value}`);
  const split = attributes.resetAfter === false ? ['sample'] : ['sample', 'channel'];
  const variant = (does: string, more: Attributes, operands: readonly OpInput[], dimensions: string[]): OpCase => ({
    kind,
    does: `${does}${said.join()}`,
    attributes: { ...attributes, ...more },
    inputs: operands,
    dimensions,
  });
  return [
    variant('through some steps', middle, inputs(gates, states, 'one'), ['sample']),
    variant('of one step', one, inputs(gates, states, 'two'), split),
    variant('from the start', { initial: true }, inputs(gates, 0, 'two'), ['sample']),
    variant('of the first step', { steps: 1, initial: true }, inputs(gates, 0, 'one'), split),
    variant('backwards', { ...middle, reverse: true }, inputs(gates, states, 'none'), ['sample']),
  ];
});

/** Recurrent networks, and mixtures of experts. */
export const CASES: readonly OpCase[] = CELLS;

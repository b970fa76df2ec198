import type { Attributes } from '../../../soap/graph/graph.ts';
import type { OpCase, OpInput } from '../op-case.ts';

/** Sizes of the layers below: samples, steps of the sequence, width of the input, hidden units. */
const [N, S, IN, H] = [4, 5, 3, 4];

/** Steps that are many: see recurrent-backward.ts. */
const LONG = 9;

/** Small enough to keep activations away from saturation. */
const parameter = (...shape: number[]): OpInput => ({
  shape,
  role: 'parameter',
  values: (random) => random.normal() / 2,
});

/** The inputs of a recurrent op. */
function inputs(gates: number, states: number, biases: 'none' | 'one' | 'two', steps: number = S): readonly OpInput[] {
  const kinds = { none: [], one: [parameter(2, gates, H)], two: [parameter(gates, H), parameter(gates, H)] };
  return [
    { shape: [N, steps, IN] },
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
    variant('from the start', { start: 0, steps: LONG, initial: true }, inputs(gates, 0, 'two', LONG), ['sample']),
    variant('of the first step', { start: 0, steps: 1, initial: true }, inputs(gates, 0, 'one'), split),
    variant('backwards', { ...middle, reverse: true }, inputs(gates, states, 'none'), ['sample']),
  ];
});

/** Samples, steps, width, experts, features of each. */
const [EXPERT_N, T, W, E, F] = [2, 3, 4, 4, 5];

/** The mixture written out, for one row after the other. */
function mixture(...inputs: readonly (readonly number[])[]): readonly number[] {
  const [x, gates, up, upBias, down, downBias] = inputs.map((values) => (at: number) => values[at]!);
  const sum = (count: number, term: (k: number) => number): number =>
    Array.from({ length: count }, (_, k) => term(k)).reduce((a, b) => a + b, 0);
  const gelu = (z: number): number => z * normalDistribution(z);
  return Array.from({ length: EXPERT_N * T * W }, (_, i) => {
    const [row, w] = [Math.floor(i / W), i % W];
    const hidden = (e: number, f: number): number =>
      gelu(upBias!(e * F + f) + sum(W, (k) => up!((e * F + f) * W + k) * x!(row * W + k)));
    const expert = (e: number): number =>
      downBias!(e * W + w) + sum(F, (f) => down!((e * W + w) * F + f) * hidden(e, f));
    return sum(E, (e) => gates!(row * E + e) * expert(e));
  });
}

/** By Simpson's rule over the density. */
function normalDistribution(z: number): number {
  const [steps, h] = [2000, z / 2000];
  const term = (i: number): number =>
    (i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2) * Math.exp(-((i * h) ** 2) / 2);
  const integral = Array.from({ length: steps + 1 }, (_, i) => term(i)).reduce((a, b) => a + b, 0);
  return 0.5 + ((h / 3) * integral) / Math.sqrt(2 * Math.PI);
}

const EXPERTS: OpCase = {
  kind: 'experts',
  inputs: [
    { shape: [EXPERT_N, T, W] },
    { shape: [EXPERT_N, T, E], values: (random) => random.next() },
    parameter(E, F, W),
    parameter(E, F),
    parameter(E, W, F),
    parameter(E, W),
  ],
  dimensions: ['sample', 'sequence', 'expert'],
  expected: mixture,
};

/** Recurrent networks, and mixtures of experts. */
export const CASES: readonly OpCase[] = [...CELLS, EXPERTS];

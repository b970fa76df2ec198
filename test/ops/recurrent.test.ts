import test from 'ava';
import type { Attributes, Shape } from '../../soap/graph/graph.ts';
import { opDefinition } from '../../soap/ops/index.ts';
import { OpError } from '../../soap/ops/op.ts';

/** Samples, steps of the sequence, width of the input, hidden units. */
const [N, S, IN, H] = [4, 10, 3, 6];
const X: Shape = [N, S, IN];
const STATE: Shape = [N, H];
const weights = (gates: number): Shape[] => [
  [gates, H, IN],
  [gates, H, H],
];

const shapes: [string, string, Shape[], Attributes, Shape[]][] = [
  [
    'lstm',
    'some steps',
    [X, STATE, STATE, ...weights(4), [2, 4, H]],
    { start: 2, steps: 8 },
    [[N, 8, H], STATE, STATE],
  ],
  ['lstm', 'all steps', [X, STATE, STATE, ...weights(4)], {}, [[N, S, H], STATE, STATE]],
  ['lstm', 'the rest', [X, ...weights(4), [4, H], [4, H]], { start: 7, initial: true }, [[N, 3, H], STATE, STATE]],
  ['lstm', 'one state', [X, STATE, ...weights(4)], { initial: 'memory' }, [[N, S, H], STATE, STATE]],
  ['gru', 'all steps', [X, STATE, ...weights(3), [2, 3, H]], {}, [[N, S, H], STATE]],
  ['rnn', 'the first step', [X, ...weights(1)], { steps: 1, initial: true }, [[N, 1, H], STATE]],
];
for (const [kind, what, inputs, attributes, expected] of shapes) {
  test(`${kind} through ${what} gives its hidden states, and the last states`, (t) => {
    t.deepEqual(opDefinition(kind).outputShapes(inputs, attributes), expected);
  });
}

const refusals: [string, Shape[], Attributes, RegExp][] = [
  ['lstm', [[N, IN], STATE, STATE, ...weights(4)], {}, /an input of shape \[4,3\]; expected \[N, S, in\]/],
  ['lstm', [X, STATE, STATE, ...weights(3)], {}, /an input weight of shape \[3,6,3\]; expected \[4, H, 3\]/],
  ['lstm', [X, ...weights(4)], {}, /3 inputs; expected x, states and weights: 5/],
  ['lstm', [X, STATE, STATE, [4, H, IN], [4, H, IN]], {}, /a recurrent weight of shape \[4,6,3\]; expected \[4,6,6\]/],
  ['lstm', [X, STATE, [N, 2], ...weights(4)], {}, /a cell state of shape \[4,2\]; expected \[4,6\]/],
  ['gru', [X, [2, H], ...weights(3)], {}, /a hidden state of shape \[2,6\]; expected \[4,6\]/],
  ['gru', [X, STATE, ...weights(3), [3, H]], {}, /a bias of shape \[3,6\]; expected \[2,3,6\]/],
  ['gru', [X, STATE, ...weights(3), [3, H], [2, 3, H]], {}, /a bias of shape \[2,3,6\]; expected \[3,6\]/],
  ['rnn', [X, STATE, ...weights(1), [1, H], [1, H], [1, H]], {}, /3 biases; expected at most two/],
  ['rnn', [X, STATE, ...weights(1)], { start: 8, steps: 3 }, /from step 8 for 3; expected at least one of the 10/],
  ['rnn', [X, STATE, ...weights(1)], { start: 10 }, /from step 10 for 0; expected/],
];
for (const [kind, inputs, attributes, message] of refusals) {
  test(`${kind} of ${JSON.stringify(inputs)} ${JSON.stringify(attributes)} is refused: ${message.source}`, (t) => {
    t.throws(() => opDefinition(kind).outputShapes(inputs, attributes), { instanceOf: OpError, message });
  });
}

test('experts refuse weights that do not fit, and say what fits', (t) => {
  const [T, W, E, F] = [5, 8, 3, 7];
  const inputs: Shape[] = [
    [N, T, W],
    [N, T, E],
    [E, F, W],
    [E, F],
    [E, W, F],
    [E, W],
  ];
  const experts = opDefinition('experts');
  t.deepEqual(experts.outputShapes(inputs, {}), [[N, T, W]]);
  for (const input of inputs.keys()) {
    const wrong = inputs.with(input, [...inputs[input]!.slice(0, -1), 2]);
    t.throws(() => experts.outputShapes(wrong, {}), {
      instanceOf: OpError,
      message: /experts has inputs of shapes .*; expected/,
    });
  }
  t.throws(() => experts.outputShapes(inputs.slice(0, 5), {}), { instanceOf: OpError });
});

test('a channel of a recurrent op splits where there is one step, since the next needs all units', (t) => {
  const names = (kind: string, inputs: Shape[], attributes: Attributes): string[] => {
    const definition = opDefinition(kind);
    const signature = { attributes, inputs, outputs: definition.outputShapes(inputs, attributes) };
    return definition.dimensions(signature).map(({ name, kind }) => `${name} ${kind}`);
  };
  const inputs = [X, STATE, STATE, ...weights(4)];
  t.deepEqual(names('lstm', inputs, { start: 3, steps: 1 }), ['sample sample', 'channel parameter']);
  t.deepEqual(names('lstm', inputs, { start: 3, steps: 2 }), ['sample sample']);
  t.deepEqual(names('gru', [X, STATE, ...weights(3)], { steps: 1, resetAfter: false }), ['sample sample']);
});

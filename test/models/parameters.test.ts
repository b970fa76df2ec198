import test from 'ava';
import type { ModelParameters } from '../../soap/models/index.ts';
import { BUILTIN_MODELS, builtinGraph } from '../../soap/models/index.ts';
import { OpError } from '../../soap/ops/op.ts';

const REFUSALS: readonly [title: string, name: string, parameters: ModelParameters, message: RegExp][] = [
  ['an unknown model', 'gtp', {}, /no built-in model 'gtp'; there are alexnet, .*dlrm: did you mean gpt\?$/],
  ['a model named like a method', 'toString', {}, /no built-in model 'toString'; there are alexnet, /],
  [
    'an unknown parameter',
    'gpt',
    { layer: 2 },
    /'gpt': layer: unknown parameter; model 'gpt' takes layers, .*: did you mean layers/,
  ],
  ['a parameter named like a method', 'gpt', { toString: 2 }, /toString: unknown parameter.*: leave it out$/],
  [
    'text for a number',
    'gpt',
    { layers: 'many' },
    /of model 'gpt': layers: got "many", expected a whole number from 1 to/,
  ],
  ['a fraction', 'gpt', { layers: 1.5 }, /got 1\.5, expected a whole number/],
  [
    'less than the least',
    'gpt',
    { layers: 0 },
    /got 0, expected a whole number from 1 to 1024 \(transformer blocks\): change its value$/,
  ],
  ['more than the most', 'gpt', { layers: 1e9 }, /got 1000000000, expected/],
  ['no number', 'gpt', { layers: NaN }, /expected a whole number/],
  [
    'a number for a flag',
    'resnet50',
    { batchNorm: 1 },
    /of model 'resnet50': batchNorm: got 1, expected true or false/,
  ],
  [
    'a list that is none',
    'resnet50',
    { blocks: '3-x' },
    /got "3-x", expected at most 8 whole numbers .* such as 3-4-6-3/,
  ],
  ['a list with a zero', 'resnet50', { blocks: '3-0' }, /got "3-0", expected .* from 1 to 256/],
  ['a list that is too long', 'resnet50', { blocks: '1-1-1-1-1-1-1-1-1' }, /expected at most 8 whole numbers/],
  ['images smaller than the strides', 'inceptionv3', { image: 74 }, /got 74, expected a whole number from 75/],
  [
    'heads that do not divide the width',
    'bert',
    { heads: 5 },
    /heads: got 5 with a width of 768, expected a divisor of it: use 4/,
  ],
  [
    'patches that do not divide the image',
    'vit',
    { patch: 15 },
    /patch: got 15 with images of 224 pixels, expected a divisor of it: use 14/,
  ],
  [
    'several problems',
    'gpt',
    { layer: 2, width: 0, heads: 5, sequence: 'x' },
    /^parameters of model 'gpt' have 3 problems:\n {2}layer: .*\n {2}width: .*\n {2}sequence: .*$/,
  ],
];

for (const [title, name, parameters, message] of REFUSALS) {
  test(`${title} is refused with what there is`, (t) => {
    t.throws(() => builtinGraph(name, 2, parameters), { instanceOf: OpError, message });
  });
}

test('a list of one may be a number, and a last group of steps may be shorter', (t) => {
  t.deepEqual(builtinGraph('resnet50', 2, { blocks: 2 }), builtinGraph('resnet50', 2, { blocks: '2' }));
  const graph = builtinGraph('rnnlm', 2, { steps: 10, group: 4, vocabulary: 10, hidden: 4, embedding: 4 });
  t.deepEqual(
    graph.outputs.map((id) => graph.tensors[id]!.shape[1]),
    [4, 4, 2],
  );
});

for (const { name, summary, parameters } of BUILTIN_MODELS) {
  test(`${name}: its defaults, written out, give the same graph; each parameter says what it is`, (t) => {
    const written = Object.fromEntries(parameters.map((each) => [each.name, each.default]));
    t.deepEqual(builtinGraph(name, 2, written), builtinGraph(name, 2));
    t.true(parameters.length > 0);
    for (const text of [summary, ...parameters.flatMap((each) => [each.meaning, each.expected])]) {
      t.regex(text, /^\S.{2,130}$/);
    }
  });
}

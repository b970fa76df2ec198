import test from 'ava';
import { builtinModel } from '../../soap/models/index.ts';
import { SMALL_MODELS, titleOf } from './small.ts';

/** Largest magnitude, mean and standard deviation. */
function momentsOf(values: Float32Array): { largest: number; mean: number; deviation: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return { largest: values.reduce((a, b) => Math.max(a, Math.abs(b)), 0), mean, deviation };
}

const rnnlm = { layers: 1, hidden: 25, embedding: 16, vocabulary: 100, steps: 2 };
const blocks = { layers: 1, width: 16, heads: 2, sequence: 64, vocabulary: 100 };

/** Where in a model a rule shows: the law, and its bound or deviation. */
const RULES: readonly [model: string, parameters: object, weight: string, law: 'uniform' | 'normal', size: number][] = [
  ['lenet', {}, 'conv2.weight', 'uniform', 1 / Math.sqrt(6 * 5 * 5)],
  ['lenet', {}, 'fc1.bias', 'uniform', 1 / Math.sqrt(16 * 5 * 5)],
  ['resnext50', { image: 32, blocks: 1, groups: 4 }, 'layer1.0.conv2.weight', 'uniform', 1 / Math.sqrt(4 * 3 * 3)],
  ['rnnlm', rnnlm, 'embedding.weight', 'normal', 1],
  ['rnnlm', rnnlm, 'lstm1.inputWeight', 'uniform', 1 / Math.sqrt(25)],
  ['rnnlm', rnnlm, 'lstm1.recurrentWeight', 'uniform', 1 / Math.sqrt(25)],
  ['rnnlm', rnnlm, 'lstm1.bias', 'uniform', 1 / Math.sqrt(25)],
  ['gpt', blocks, 'positions.weight', 'normal', 0.02],
  ['gpt', blocks, 'block0.down.weight', 'uniform', 1 / Math.sqrt(64)],
  ['moe', { ...blocks, experts: 2, inner: 49 }, 'block0.experts.up', 'uniform', 1 / Math.sqrt(16)],
  ['moe', { ...blocks, experts: 2, inner: 49 }, 'block0.experts.upBias', 'uniform', 1 / Math.sqrt(16)],
  ['moe', { ...blocks, experts: 2, inner: 49 }, 'block0.experts.down', 'uniform', 1 / Math.sqrt(49)],
  ['moe', { ...blocks, experts: 2, inner: 49 }, 'block0.experts.downBias', 'uniform', 1 / Math.sqrt(49)],
];

for (const [model, parameters, name, law, size] of RULES) {
  test(`${name} of ${model} is ${law}, of size ${size.toFixed(3)}`, (t) => {
    const values = builtinModel(model, 2, 1, { ...parameters }).weights.get(name)!;
    const { largest, mean, deviation } = momentsOf(values);
    const expected = law === 'normal' ? size : size / Math.sqrt(3);
    // Six standard errors: of the mean, and of the deviation, which is largest for a normal law.
    const slack = 6 / Math.sqrt(values.length);
    t.true(Math.abs(mean) < slack * expected, `mean ${mean}`);
    t.true(Math.abs(deviation / expected - 1) < slack, `deviation ${deviation}, expected ${expected}`);
    if (law === 'uniform') t.true(largest <= Math.fround(size) && largest > size * (1 - slack));
    else t.true(largest > 2 * size);
  });
}

test('normalization starts with scale 1 and shift 0, a class token with zeros', (t) => {
  const { weights } = builtinModel('vit', 2, 1, { layers: 1, width: 8, heads: 2, image: 8, patch: 4 });
  t.deepEqual([...new Set(weights.get('norm.weight'))], [1]);
  t.deepEqual([...new Set(weights.get('norm.bias'))], [0]);
  t.deepEqual([...new Set(weights.get('classToken.weight'))], [0]);
  const normalized = builtinModel('resnet50', 2, 1, { image: 32, blocks: 1, width: 4 }).weights;
  t.deepEqual([...new Set(normalized.get('layer1.0.bn1.weight'))], [1]);
  t.deepEqual([...new Set(normalized.get('layer1.0.bn1.bias'))], [0]);
});

for (const small of SMALL_MODELS) {
  test(`${titleOf(small)}: every parameter has its values, which the seed decides`, (t) => {
    const of = (seed: number) => builtinModel(small.name, 4, seed, small.parameters);
    const { graph, weights } = of(1);
    const parameters = graph.tensors.filter(({ role }) => role === 'parameter');
    t.is(weights.size, parameters.length);
    for (const { name, shape } of parameters) {
      const values = weights.get(name)!;
      t.is(
        values.length,
        shape.reduce((a, b) => a * b, 1),
      );
      t.true(values.every((value) => Number.isFinite(value)));
    }
    t.deepEqual(of(1).weights, weights);
    t.notDeepEqual(of(2).weights, weights);
  });
}

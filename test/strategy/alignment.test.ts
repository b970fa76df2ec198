import test from 'ava';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { Alignment } from '../../soap/strategy/alignment.ts';
import type { OpConfig } from '../../soap/strategy/strategy.ts';

const { graph } = attachLoss(builtinGraph('alexnet', 8), 'crossEntropy');
const alignment = new Alignment(graph);
const idOf = (name: string): number => graph.ops.find((op) => op.name === name)!.id;

/** A configuration by names of dimensions, its parts on devices from 10 on. */
function config(name: string, degrees: Readonly<Record<string, number>>): OpConfig {
  const list = opDimensions(graph, graph.ops[idOf(name)]!).map((dimension) => degrees[dimension.name] ?? 1);
  const parts = list.reduce((a, b) => a * b, 1);
  return { degrees: list, devices: Array.from({ length: parts }, (_, part) => 10 + part) };
}

const junction = (producer: string, consumer: string) => ({
  producer: idOf(producer),
  output: 0,
  consumer: idOf(consumer),
  input: 0,
});

test('an elementwise op follows every cut, and leads its producer to the same', (t) => {
  const split = { sample: 2, channel: 4, height: 5 };
  t.deepEqual(alignment.follow(junction('conv1', 'relu1'), config('conv1', split)), config('relu1', split));
  t.deepEqual(alignment.lead(junction('conv1', 'relu1'), config('relu1', split)), config('conv1', split));
});

test('a linear layer follows channels by the sum over its inputs, and samples by samples', (t) => {
  const following = alignment.follow(junction('relu6', 'fc7'), config('relu6', { sample: 2, channel: 4 }));
  t.deepEqual(following, config('fc7', { sample: 2, width: 4 }));
});

test('what the next op does not read in parts is not cut: it goes to the first of the parts', (t) => {
  const following = alignment.follow(junction('relu1', 'pool1'), config('relu1', { sample: 2, width: 5 }));
  t.is(following, undefined, 'pool1 has 27 columns, which 5 does not divide');
  const led = alignment.lead(junction('relu6', 'fc7'), config('fc7', { sample: 2, channel: 2 }));
  t.deepEqual(led, { ...config('relu6', { sample: 2 }), devices: [10, 12] });
});

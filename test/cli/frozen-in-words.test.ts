import test from 'ava';
import { frozenInWords } from '../../cli/model/frozen-in-words.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { freeze } from '../../soap/graph/freeze.ts';
import type { Graph } from '../../soap/graph/graph.ts';

/** Two layers, the weight of the first called as given. */
function twoLayers(first: string): Graph {
  const builder = new GraphBuilder();
  const parameters = [builder.parameter(first, [40, 50]), builder.parameter('encoder.bias', [40])];
  const x = builder.op('linear', 'encoder', [builder.input('x', [2, 50]), ...parameters], { transposed: true });
  const head = builder.op('linear', 'head', [x, builder.parameter('head.weight', [3, 40])], { transposed: true });
  return builder.build('two layers', [head]);
}

test('a run says how much of the model is frozen', (t) => {
  t.deepEqual(frozenInWords(freeze(twoLayers('encoder.weight'), ['encoder.*'])), [
    'frozen: 2 of 3 parameters, 2,040 of 2,160 numbers',
  ]);
});

test('what is trained under a name that the exporter made up is told, as it may be meant to be frozen', (t) => {
  const [frozen, renamed, ...more] = frozenInWords(freeze(twoLayers('onnx::MatMul_12'), ['encoder.*']));
  t.is(frozen, 'frozen: 1 of 3 parameters, 40 of 2,160 numbers');
  t.regex(renamed!, /^trained, under names that the exporter made up: onnx::MatMul_12; .*in training mode/);
  t.deepEqual(more, []);
  t.is(frozenInWords(freeze(twoLayers('onnx::MatMul_12'), ['encoder.*', 'onnx::*'])).length, 1);
});

import test from 'ava';
import { samplePeriods } from '../../soap/training/sample-period.ts';
import { BUILTIN_MODELS, builtinGraph } from '../../soap/models/index.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { Graph } from '../../soap/graph/graph.ts';

/** A graph of samples [N, 4, 6] that are turned and reshaped, and weights that are not theirs. */
function turned(samples: number): Graph {
  const builder = new GraphBuilder();
  const x = builder.input('x', [samples, 4, 6]);
  const timeFirst = builder.op('transpose', 'timeFirst', [x], { perm: [1, 0, 2] });
  const linear = builder.op('linear', 'linear', [timeFirst, builder.parameter('w', [6, 8])]);
  const heads = builder.op('reshape', 'heads', [linear], { shape: [4, 2 * samples, 4] });
  const batched = builder.op('transpose', 'batched', [heads], { perm: [1, 0, 2] });
  const back = builder.op('reshape', 'back', [batched], { shape: [2 * samples, 4, 4] });
  const split = builder.op('reshape', 'split', [linear], { shape: [4, samples, 2, 4] });
  const apart = builder.op('transpose', 'apart', [split], { perm: [2, 0, 1, 3] });
  const half = { axis: 0, indices: [1], indicesShape: [] };
  builder.op('tanh', 'one', [builder.op('gather', 'half', [apart], half)]);
  const last = builder.op('transpose', 'last', [x], { perm: [1, 2, 0] });
  builder.op('tanh', 'tanh', [last]);
  builder.op('tanh', 'weights', [builder.parameter('v', [3, 3])]);
  return builder.build('turned', [back]);
}

test('a period holds all samples once, however they were turned, and weights have none', (t) => {
  const graph = turned(3);
  const periods = samplePeriods(graph);
  const named = Object.fromEntries(graph.ops.map(({ name, outputs }) => [name, periods[outputs[0]!]]));
  t.deepEqual(named, {
    timeFirst: 3 * 6,
    linear: 3 * 8,
    heads: 3 * 8,
    batched: 3 * 4 * 8,
    back: 3 * 4 * 8,
    split: 3 * 8,
    apart: 3 * 4,
    half: 3 * 4,
    one: 3 * 4,
    last: 3,
    tanh: 3,
    weights: 0,
  });
});

test('twice as many samples have periods twice as long, as many of them, in every built-in model', (t) => {
  for (const { name } of BUILTIN_MODELS) {
    const [once, twice] = [2, 4].map((batch) => samplePeriods(builtinGraph(name, batch)));
    t.deepEqual(
      twice,
      once!.map((period) => 2 * period),
      name,
    );
  }
});

import test from 'ava';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { InMemoryRun } from '../../runtime/program/in-memory.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { initializeWeights } from '../../soap/models/initialize.ts';
import { OpError } from '../../soap/ops/op.ts';
import { createRandom } from '../../soap/random.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { sgd } from '../support/sgd.ts';
import { devices } from '../support/train-in-memory.ts';

const onnxRuntime = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => onnxRuntime.close());

const [SAMPLES, STEPS] = [8, 3];
const optimizer = sgd({ learningRate: 0.5 });

/** Leaky units between two linear layers. */
function network(leaky: (builder: GraphBuilder, x: number) => number): Graph {
  const builder = new GraphBuilder();
  const linear = (name: string, x: number, width: number): number =>
    builder.op('linear', name, [x, builder.parameter(`${name}.w`, [builder.shape(x)[1]!, width])]);
  const hidden = linear('hidden', builder.input('x', [SAMPLES, 6]), 8);
  return builder.build('leaky', [linear('logits', leaky(builder, hidden), 4)]);
}

const asOneOp = (builder: GraphBuilder, x: number): number => builder.op('leakyRelu', 'leaky', [x], { alpha: 0.1 });

/** The same by a comparison of what is trained: of x itself, and of what nothing but the comparison reads. */
const BY_COMPARISON: Record<string, (builder: GraphBuilder, x: number) => number> = {
  itself: (builder, x) => chosen(builder, x, builder.op('greater', 'positive', [x], { scalar: 0 })),
  'its double': (builder, x) => {
    const double = builder.op('mul', 'double', [x], { scalar: 2 });
    return chosen(builder, x, builder.op('greater', 'positive', [double], { scalar: 0 }));
  },
};

function chosen(builder: GraphBuilder, x: number, condition: number): number {
  return builder.op('where', 'chosen', [condition, x, builder.op('mul', 'tenth', [x], { scalar: 0.1 })]);
}

async function losses(graph: Graph, count: number, seed: number | undefined, engine: KernelEngine): Promise<number[]> {
  const training = attachLoss(graph, 'crossEntropy');
  const dataset = await openDataset({ synthetic: { samples: SAMPLES }, shuffle: false }, '.', training.graph);
  const cluster = devices(count);
  const strategy =
    seed === undefined ? singleDevice(training.graph) : randomStrategy(training.graph, cluster, createRandom(seed));
  const weights = initializeWeights(graph, 3);
  const run = new InMemoryRun({ training, weights, strategy, cluster, engine, optimizer, seed: 1, dataset });
  const found: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const { lossSum, lossCount } = await run.train({ step, learningRate: optimizer.learningRate }, [
      ...Array.from({ length: SAMPLES }).keys(),
    ]);
    found.push(lossSum / lossCount);
  }
  run.release();
  await dataset.close();
  return found;
}

for (const [of, leaky] of Object.entries(BY_COMPARISON)) {
  test.serial(`where by a comparison of ${of} trains as the op that does both, however it is split`, async (t) => {
    const expected = await losses(network(asOneOp), 1, undefined, createReferenceEngine());
    t.true(expected[2]! < expected[0]!);
    for (const engine of [createReferenceEngine(), onnxRuntime]) {
      for (const [count, seed] of [
        [1, undefined] as const,
        ...[1, 2, 3, 4, 5, 6].map((s) => [2 + (s % 3), s] as const),
      ]) {
        const actual = await losses(network(leaky), count, seed, engine);
        const error = Math.max(...actual.map((loss, i) => Math.abs(loss - expected[i]!) / expected[i]!));
        t.true(error < 2e-6, `${engine.name}, ${count} devices, seed ${seed}: ${actual.join(' ')}`);
      }
    }
  });
}

test('a parameter that is only compared is refused, with what to do', (t) => {
  const graph = network((builder, x) =>
    chosen(builder, x, builder.op('greater', 'above', [x, builder.parameter('threshold', [8])])),
  );
  t.throws(() => attachLoss(graph, 'crossEntropy'), {
    instanceOf: OpError,
    message:
      /^op 'above' \(greater\) reads the parameter 'threshold' but its result has no gradient.*let it read a number, or a buffer that nothing else reads, or name the parameter in spec\.training\.frozen$/,
  });
});

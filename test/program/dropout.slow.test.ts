import test from 'ava';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { createDeviceEngine } from '../../runtime/kernels/device/engine.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { BatchLoader } from '../../runtime/program/batch-loader.ts';
import { NOTHING, partialResult, sumOf } from '../../runtime/program/evaluation.ts';
import { InMemoryRun } from '../../runtime/program/in-memory.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { exportOnnx } from '../../soap/conversion/export.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { initializeWeights } from '../../soap/models/initialize.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { wholeRegion } from '../../soap/region/region.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { runGraph } from '../support/kernel-graphs.ts';
import { onSoftwareGpu } from '../support/software-gpu.ts';
import { devices } from '../support/train-in-memory.ts';
import { sgd } from '../support/sgd.ts';

const onnxRuntime = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => onnxRuntime.close());

const [BATCH, TIME, WIDTH, CLASSES] = [12, 4, 6, 5];

const optimizer = sgd({ learningRate: 0.2, momentum: 0.9 });

/** Dropouts of the data and where time comes before samples, and one whose mask is read. */
function network(samples: number): Graph {
  const builder = new GraphBuilder();
  const dropout = (name: string, x: number, ratio: number, attributes = {}): number =>
    builder.op('dropout', name, [x], { ratio, ...attributes });
  const linear = (name: string, x: number, width: number): number =>
    builder.op('linear', name, [x, builder.parameter(`${name}.w`, [builder.shape(x).at(-1)!, width])]);
  const x = dropout('data', builder.input('x', [samples, TIME, WIDTH]), 0.2);
  const timeFirst = builder.op('transpose', 'timeFirst', [x], { perm: [1, 0, 2] });
  const hidden = builder.op('tanh', 'tanh', [linear('hidden', timeFirst, 8)]);
  const rows = builder.op('reshape', 'rows', [dropout('turned', hidden, 0.5)], { shape: [TIME * samples, 8] });
  const again = linear('again', dropout('rows.dropout', rows, 0.25), 8);
  const turned = builder.op('reshape', 'back', [again], { shape: [TIME, samples, 8] });
  const back = builder.op('transpose', 'samplesFirst', [turned], { perm: [1, 0, 2] });
  const flat = builder.op('flatten', 'flat', [back]);
  const last = dropout('last', flat, 0.1, { mask: true });
  const mask = builder.op('cast', 'mask', [builder.outputsOf(last)[1]!], { to: 'float32' });
  const sum = builder.op('add', 'sum', [last, mask]);
  return builder.build('network', [linear('logits', sum, CLASSES)]);
}

const weights = initializeWeights(network(BATCH), 3);
const rowsOf = (step: number): number[] => Array.from({ length: BATCH }, (_, i) => step * BATCH + i);

interface Plan {
  readonly count: number;
  readonly strategyOf: (graph: Graph) => Strategy;
  readonly engine?: KernelEngine;
  readonly seed?: number;
  readonly microBatches?: number;
  readonly steps?: readonly number[];
}

const ALONE: Plan = { count: 1, strategyOf: singleDevice };
const random = (count: number, seed: number): Plan => ({
  count,
  strategyOf: (graph) => randomStrategy(graph, devices(count), createRandom(seed)),
});

async function opened({ count, strategyOf, engine = onnxRuntime, seed = 1, microBatches = 1 }: Plan) {
  const training = attachLoss(network(BATCH / microBatches), 'crossEntropy', {}, microBatches);
  const dataset = await openDataset({ synthetic: { samples: 6 * BATCH }, shuffle: false }, '.', training.graph);
  const strategy = strategyOf(training.graph);
  const run = new InMemoryRun({
    training,
    weights,
    strategy,
    cluster: devices(count),
    engine,
    optimizer,
    seed,
    dataset,
  });
  return { training, dataset, run };
}

/** Losses of some steps, and how large each was. */
async function losses(plan: Plan): Promise<number[]> {
  const { run, dataset } = await opened(plan);
  const found: number[] = [];
  for (const step of plan.steps ?? [0, 1, 2]) {
    const { lossSum, lossCount } = await run.train({ step, learningRate: optimizer.learningRate }, rowsOf(step));
    found.push(lossSum / lossCount);
  }
  run.release();
  await dataset.close();
  return found;
}

const farthest = (actual: readonly number[], expected: readonly number[]): number =>
  Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value) / value));

test.serial('the same bits twice, other ones with another seed, and at another step', async (t) => {
  const expected = await losses(ALONE);
  t.deepEqual(await losses(ALONE), expected);
  t.true(farthest(await losses({ ...ALONE, seed: 2 }), expected) > 1e-3);
  const [first] = await losses({ ...ALONE, steps: [0] });
  t.is(first, expected[0]!);
});

const PLANS: Record<string, Plan> = {
  'data on 2': { count: 2, strategyOf: (graph) => dataParallel(graph, devices(2)) },
  'model on 3': { count: 3, strategyOf: (graph) => modelParallel(graph, devices(3)) },
  ...Object.fromEntries(
    [1, 2, 3, 4, 5, 6].map((seed) => [`random ${seed} on ${2 + (seed % 3)}`, random(2 + (seed % 3), seed)]),
  ),
};
for (const [name, plan] of Object.entries(PLANS)) {
  test.serial(`the curve under ${name} is that of one device, on both engines and in micro-batches`, async (t) => {
    const expected = await losses(ALONE);
    for (const engine of [onnxRuntime, createReferenceEngine()]) {
      for (const microBatches of [1, 3]) {
        const error = farthest(await losses({ ...plan, engine, microBatches }), expected);
        t.true(error <= 2e-6, `${engine.name}, ${microBatches}: ${error}`);
      }
    }
  });
}

test.serial('evaluations drop nothing, on every strategy, and as the exported file does in ONNX Runtime', async (t) => {
  const results: number[] = [];
  for (const plan of [ALONE, random(3, 7), random(4, 8)]) {
    for (const engine of [onnxRuntime, createReferenceEngine()]) {
      const { run, training, dataset } = await opened({ ...plan, engine });
      const evaluate = async (pass: number): Promise<number> => {
        const parts = await Promise.all(
          run.programs.map(async (program) => {
            await new BatchLoader(training.graph, dataset, program.dataInputs, engine).load(rowsOf(5));
            await program.infer(pass, new Map());
            return partialResult(training, program, BATCH);
          }),
        );
        return parts.reduce(sumOf, NOTHING).lossSum / BATCH;
      };
      const before = await evaluate(0);
      t.is(await evaluate(1), before);
      results.push(before);
      run.release();
      await dataset.close();
    }
  }
  const { dataset, run } = await opened(ALONE);
  const [x, targets] = [new Float32Array(BATCH * TIME * WIDTH), new BigInt64Array(BATCH)];
  await dataset.read('x', rowsOf(5), wholeRegion([TIME, WIDTH]), x);
  await dataset.read('targets', rowsOf(5), [], targets);
  run.release();
  await dataset.close();
  const onnx = decodeOnnx(encodeOnnx(exportOnnx({ graph: network(BATCH), weights })));
  t.is(onnx.nodes.filter(({ opType }) => opType === 'Dropout').length, 4);
  const fixed = ({ shape, ...value }: (typeof onnx.inputs)[number]) => ({
    ...value,
    shape: [BATCH, ...shape.slice(1)],
  });
  const file = { ...onnx, inputs: onnx.inputs.map(fixed), outputs: onnx.outputs.map(fixed) };
  const { [onnx.outputs[0]!.name]: logits } = await runGraph(onnxRuntime, file, { x });
  let loss = 0;
  targets.forEach((target, row) => {
    const own = Array.from(logits!.subarray(row * CLASSES, (row + 1) * CLASSES), Number);
    loss += (Math.log(own.reduce((sum, y) => sum + Math.exp(y), 0)) - own[Number(target)]!) / BATCH;
  });
  for (const result of results) t.true(Math.abs(result / loss - 1) <= 2e-6, `${result} and ${loss}`);
});

onSoftwareGpu('a GPU drops what the CPU drops', async (t) => {
  const gpu = createDeviceEngine('webgpu', { gpu: 0 });
  const plan = { ...random(2, 3), steps: [0] };
  const error = farthest(await losses({ ...plan, engine: gpu }), await losses(plan));
  t.true(error <= 1e-5, `${error}`);
  gpu.close();
});

test.serial('with a ratio of 0 nothing is dropped or changed', async (t) => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [4, 3]);
  const y = builder.op('dropout', 'dropout', [x], { ratio: 0 });
  const training = attachLoss(builder.build('model', [y]), 'meanSquaredError');
  const plain = new GraphBuilder();
  const same = attachLoss(plain.build('model', [plain.input('x', [4, 3])]), 'meanSquaredError');
  const found: number[] = [];
  for (const each of [training, same]) {
    const dataset = await openDataset({ synthetic: { samples: 4 }, shuffle: false }, '.', each.graph);
    const strategy = singleDevice(each.graph);
    const options = { training: each, weights: new Map(), strategy, cluster: devices(1), optimizer, dataset };
    const run = new InMemoryRun({ ...options, engine: onnxRuntime });
    found.push((await run.train({ step: 0, learningRate: 0 }, [0, 1, 2, 3])).lossSum);
    run.release();
    await dataset.close();
  }
  t.is(found[0], found[1]!);
});

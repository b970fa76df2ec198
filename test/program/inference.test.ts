import test from 'ava';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { BatchLoader } from '../../runtime/program/batch-loader.ts';
import { NOTHING, partialResult, sumOf } from '../../runtime/program/evaluation.ts';
import { InMemoryRun } from '../../runtime/program/in-memory.ts';
import { RunningMoments } from '../../runtime/program/running-moments.ts';
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
import { devices } from '../support/train-in-memory.ts';
import { sgd } from '../support/sgd.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

const [BATCH, CHANNELS, SIZE, STEPS, MOMENTUM, EPSILON] = [8, 4, 4, 3, 0.7, 1e-3];
const VALUES = CHANNELS * SIZE * SIZE;

const optimizer = sgd({ learningRate: 0.05 });

/** Normalization of the data, and of what is computed from it. */
function network(): Graph {
  const builder = new GraphBuilder();
  const vector = (name: string): number => builder.parameter(name, [CHANNELS]);
  const normalize = (name: string, x: number): number =>
    builder.op('batchNorm', name, [x, vector(`${name}.weight`), vector(`${name}.bias`)], {
      epsilon: EPSILON,
      momentum: MOMENTUM,
    });
  const x = normalize('first', builder.input('x', [BATCH, CHANNELS, SIZE, SIZE]));
  const bent = builder.op('tanh', 'bent', [x]);
  const y = builder.op('relu', 'rectified', [normalize('second', bent)]);
  const flat = builder.op('flatten', 'flat', [y]);
  const logits = builder.op('linear', 'logits', [
    flat,
    builder.parameter('w', [VALUES, 5]),
    builder.parameter('b', [5]),
  ]);
  return builder.build('network', [logits]);
}

const graph = network();
const training = attachLoss(graph, 'crossEntropy');
const weights = initializeWeights(graph, 3);
const rowsOf = (step: number): number[] => Array.from({ length: BATCH }, (_, i) => step * BATCH + i);
const openData = () =>
  openDataset({ synthetic: { samples: (STEPS + 1) * BATCH }, shuffle: false }, '.', training.graph);

interface Evaluated {
  readonly loss: number;
  readonly correct: number;
}

/** Trains some steps under a strategy, then evaluates on the rows after them; and what the exported file says of these. */
async function evaluated(count: number, strategyOf: (graph: Graph) => Strategy, kernels: typeof engine) {
  const dataset = await openData();
  const strategy = strategyOf(training.graph);
  const options = { training, weights, strategy, cluster: devices(count), engine: kernels, optimizer, dataset };
  const run = new InMemoryRun(options);
  const kept = new Map(run.programs.map((program) => [program, new RunningMoments(training.graph)]));
  for (let step = 0; step < STEPS; step++) {
    await run.train({ step, learningRate: optimizer.learningRate }, rowsOf(step), (program) => {
      kept.get(program)!.update(program);
    });
  }
  const evaluate = async (pass: number): Promise<Evaluated> => {
    const results = await Promise.all(
      run.programs.map(async (program) => {
        await new BatchLoader(training.graph, dataset, program.dataInputs, kernels).load(rowsOf(STEPS));
        await program.infer(pass, kept.get(program)!.moments);
        return partialResult(training, program, BATCH);
      }),
    );
    const { lossSum, lossCount, correct } = results.reduce(sumOf, NOTHING);
    return { loss: lossSum / lossCount, correct };
  };
  const [first, second] = [await evaluate(STEPS), await evaluate(STEPS + 1)];
  const { lossSum } = await run.train({ step: STEPS + 2, learningRate: 0 }, rowsOf(STEPS));
  const trained = new Map(weights);
  if (count === 1) {
    for (const { shard, weight } of run.programs[0]!.parameters.states) {
      trained.set(training.graph.tensors[shard.tensor]!.name, Float32Array.from(weight.host, Number));
    }
  }
  const moments = kept.get(run.programs[0]!)!.moments;
  run.release();
  await dataset.close();
  return { first, second, batchLoss: lossSum / BATCH, model: { graph, weights: trained, moments } };
}

const batch = async () => {
  const dataset = await openData();
  const [x, targets] = [new Float32Array(BATCH * VALUES), new BigInt64Array(BATCH)];
  await dataset.read('x', rowsOf(STEPS), wholeRegion([CHANNELS, SIZE, SIZE]), x);
  await dataset.read('targets', rowsOf(STEPS), [], targets);
  await dataset.close();
  return { x, targets };
};

/** The loss and what is right, by logits. */
function judged(logits: readonly number[], targets: BigInt64Array): Evaluated {
  const result = { loss: 0, correct: 0 };
  targets.forEach((target, row) => {
    const own = logits.slice(row * 5, row * 5 + 5);
    result.loss += (Math.log(own.reduce((sum, y) => sum + Math.exp(y), 0)) - own[Number(target)]!) / BATCH;
    if (own.indexOf(Math.max(...own)) === Number(target)) result.correct += 1;
  });
  return result;
}

/** The network in float64 by the formula of inference: (x - running mean) / sqrt(running variance + epsilon). */
function inferred({ weights: w, moments }: Awaited<ReturnType<typeof evaluated>>['model'], x: Float32Array): number[] {
  const normalize = (name: string, values: readonly number[]): number[] => {
    const { mean, variance } = moments.get(name)!;
    return values.map((value, i) => {
      const c = Math.floor(i / (SIZE * SIZE)) % CHANNELS;
      const normalized = (value - mean[c]!) / Math.sqrt(variance[c]! + EPSILON);
      return normalized * w.get(`${name}.weight`)![c]! + w.get(`${name}.bias`)![c]!;
    });
  };
  const bent = normalize('first', [...x]).map(Math.tanh);
  const hidden = normalize('second', bent).map((value) => Math.max(0, value));
  return Array.from({ length: BATCH * 5 }, (_, i) => {
    const [row, c] = [Math.floor(i / 5), i % 5];
    const own = hidden.slice(row * VALUES, (row + 1) * VALUES);
    return own.reduce((sum, value, f) => sum + value * w.get('w')![f * 5 + c]!, w.get('b')![c]!);
  });
}

test.serial('an evaluation normalizes by running moments, as the exported file does in ONNX Runtime', async (t) => {
  const { first, second, batchLoss, model } = await evaluated(1, singleDevice, engine);
  const { x, targets } = await batch();
  const expected = judged(inferred(model, x), targets);
  t.true(Math.abs(first.loss - expected.loss) <= 1e-5 * expected.loss, `${first.loss} and ${expected.loss}`);
  t.is(first.correct, expected.correct);
  t.deepEqual(second, first, 'an evaluation changes nothing');
  t.true(Math.abs(batchLoss - first.loss) > 1e-3, "the batch's own moments give another loss");
  const onnx = decodeOnnx(encodeOnnx(exportOnnx(model)));
  const fixed = ({ shape, ...value }: (typeof onnx.inputs)[number]) => ({
    ...value,
    shape: [BATCH, ...shape.slice(1)],
  });
  const file = { ...onnx, inputs: onnx.inputs.map(fixed), outputs: onnx.outputs.map(fixed) };
  const { [onnx.outputs[0]!.name]: logits } = await runGraph(engine, file, { [onnx.inputs[0]!.name]: x });
  const byFile = judged(Array.from(logits!, Number), targets);
  t.true(Math.abs(first.loss - byFile.loss) <= 1e-5 * byFile.loss);
  t.is(first.correct, byFile.correct);
});

for (const [name, count, strategyOf] of [
  ['data', 2, (of: Graph) => dataParallel(of, devices(2))],
  ['model', 3, (of: Graph) => modelParallel(of, devices(3))],
  ['random 1', 4, (of: Graph) => randomStrategy(of, devices(4), createRandom(1))],
  ['random 2', 4, (of: Graph) => randomStrategy(of, devices(4), createRandom(2))],
  ['random 6', 3, (of: Graph) => randomStrategy(of, devices(3), createRandom(6))],
] as const) {
  test.serial(`an evaluation under ${name} on ${count} is that of one device`, async (t) => {
    const expected = (await evaluated(1, singleDevice, engine)).first;
    for (const kernels of [engine, createReferenceEngine()]) {
      const { first, second } = await evaluated(count, strategyOf, kernels);
      t.true(Math.abs(first.loss - expected.loss) <= 1e-5 * expected.loss, `${first.loss} and ${expected.loss}`);
      t.is(first.correct, expected.correct);
      t.deepEqual(second, first);
    }
  });
}

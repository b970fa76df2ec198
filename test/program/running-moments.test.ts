import { runGraph } from '../support/kernel-graphs.ts';
import test from 'ava';
import { createIndex } from '../../runtime/checkpoint/index-file.ts';
import { openCheckpoint } from '../../runtime/checkpoint/read.ts';
import { restoreMoments } from '../../runtime/checkpoint/restore.ts';
import { commitCheckpoint, writeShards } from '../../runtime/checkpoint/write.ts';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { InMemoryRun } from '../../runtime/program/in-memory.ts';
import { RunningMoments } from '../../runtime/program/running-moments.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { exportOnnx } from '../../soap/conversion/export.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { initializeWeights } from '../../soap/models/initialize.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { wholeRegion } from '../../soap/region/region.ts';
import { devices } from '../support/train-in-memory.ts';
import { sgd } from '../support/sgd.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

const [BATCH, CHANNELS, SIZE, STEPS, EPSILON] = [8, 4, 3, 3, 1e-3];

/** The normalization reads the data itself, so its moments are those of the data. */
function network(): Graph {
  const builder = new GraphBuilder();
  const x = builder.input('x', [BATCH, CHANNELS, SIZE, SIZE]);
  const parameter = (name: string): number => builder.parameter(name, [CHANNELS]);
  const y = builder.op('batchNorm', 'bn', [x, parameter('bn.weight'), parameter('bn.bias')], { epsilon: EPSILON });
  return builder.build('network', [builder.op('flatten', 'flatten', [y])]);
}

const graph = network();
const weights = initializeWeights(graph, 1);
const training = attachLoss(graph, 'crossEntropy');
const rowsOf = (step: number): number[] => Array.from({ length: BATCH }, (_, i) => step * BATCH + i);
const openData = () => openDataset({ synthetic: { samples: STEPS * BATCH }, shuffle: false }, '.', training.graph);

/** PyTorch's rule in float64, from the data alone. */
async function expectedMoments(): Promise<{ mean: number[]; variance: number[] }> {
  const dataset = await openData();
  const [mean, variance] = [Array<number>(CHANNELS).fill(0), Array<number>(CHANNELS).fill(1)];
  const count = BATCH * SIZE * SIZE;
  for (let step = 0; step < STEPS; step++) {
    const x = new Float32Array(BATCH * CHANNELS * SIZE * SIZE);
    await dataset.read('x', rowsOf(step), wholeRegion([CHANNELS, SIZE, SIZE]), x);
    for (let c = 0; c < CHANNELS; c++) {
      const values = [...x].filter((_, i) => Math.floor(i / (SIZE * SIZE)) % CHANNELS === c);
      const m = values.reduce((a, b) => a + b, 0) / count;
      const unbiased = values.reduce((sum, value) => sum + (value - m) ** 2, 0) / (count - 1);
      mean[c] = 0.9 * mean[c]! + 0.1 * m;
      variance[c] = 0.9 * variance[c]! + 0.1 * unbiased;
    }
  }
  await dataset.close();
  return { mean, variance };
}

const isNear = (actual: Float32Array, expected: number[]): boolean =>
  expected.every((value, i) => Math.abs(actual[i]! - value) <= 1e-6 * Math.max(1, Math.abs(value)));

for (const [name, count, strategyOf] of [
  ['one device', 1, singleDevice],
  ['data', 2, dataParallel],
  ['model', 2, modelParallel],
  ['random', 4, (of: Graph, cluster: ReturnType<typeof devices>) => randomStrategy(of, cluster, createRandom(4))],
] as const) {
  test.serial(
    `under ${name} on ${count}, running moments follow PyTorch's rule through checkpoint and export`,
    async (t) => {
      const expected = await expectedMoments();
      const cluster = devices(count);
      const optimizer = sgd({ learningRate: 0 });
      const dataset = await openData();
      const strategy = strategyOf(training.graph, cluster);
      const run = new InMemoryRun({ training, weights, strategy, cluster, engine, optimizer, dataset });
      const kept = run.programs.map(() => new RunningMoments(training.graph));
      for (let step = 0; step < STEPS; step++) {
        await run.train({ step, learningRate: 0 }, rowsOf(step));
        run.programs.forEach((program, device) => kept[device]!.update(program));
      }

      const directory = await temporaryFolder(t);
      const files = [];
      for (const [device, { parameters }] of run.programs.entries()) {
        files.push(
          await writeShards(
            directory,
            STEPS,
            run.layout,
            { device, devices: count },
            parameters,
            kept[device]!.moments,
          ),
        );
      }
      const identity = { model: '', optimizer: 'sgd', seed: 1, samples: 1, shuffle: false, batchSize: BATCH };
      const index = createIndex(
        { step: STEPS, run: identity, source: {}, total_size: 0 },
        {
          files: Object.fromEntries(files.map(({ file, bytes, sha256 }) => [file, { bytes, sha256 }])),
          weight_map: Object.fromEntries(
            files.flatMap(({ file, boxes }) => Object.keys(boxes).map((key) => [key, file])),
          ),
          boxes: Object.fromEntries(files.flatMap(({ boxes }) => Object.entries(boxes))),
        },
      );
      const checkpoint = await openCheckpoint(await commitCheckpoint(directory, index));
      const { moments } = new RunningMoments(graph);
      await restoreMoments(moments, checkpoint);
      await checkpoint.close();
      t.true(isNear(moments.get('bn')!.mean, expected.mean), `${String(moments.get('bn')!.mean)} and ${expected.mean}`);
      t.true(isNear(moments.get('bn')!.variance, expected.variance));

      const onnx = decodeOnnx(encodeOnnx(exportOnnx({ graph, weights, moments })));
      t.deepEqual(importOnnx(onnx, { batch: 2 }).moments?.get('bn'), moments.get('bn'));
      const x = Float32Array.from({ length: CHANNELS * SIZE * SIZE }, (_, i) => Math.cos(i));
      const [input, output] = [onnx.inputs[0]!, onnx.outputs[0]!];
      const fixed = {
        ...onnx,
        inputs: [{ ...input, shape: [1, CHANNELS, SIZE, SIZE] }],
        outputs: [{ ...output, shape: [1, x.length] }],
      };
      const { [output.name]: y } = await runGraph(engine, fixed, { [input.name]: x });
      // New layers have scales 1 and shifts 0, and the learning rate is 0.
      const inferred = [...x].map((value, i) => {
        const c = Math.floor(i / (SIZE * SIZE));
        return (value - expected.mean[c]!) / Math.sqrt(expected.variance[c]! + EPSILON);
      });
      t.true(
        inferred.every((value, i) => Math.abs(value - Number(y![i])) <= 1e-5),
        'ONNX Runtime infers as PyTorch does',
      );
      run.release();
      await dataset.close();
    },
  );
}

import test from 'ava';
import { GRADIENT_TOLERANCE } from '../../bench/golden/cases.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { SampleOrder } from '../../runtime/data/sample-order.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { learningRateAt } from '../../runtime/optimizers/learning-rate.ts';
import { copyState } from '../support/copy-state.ts';
import { devices, goldenCase, goldenRun, gradientNormError, normsOf } from '../support/train-in-memory.ts';

/** How far a loss may be off PyTorch's in float64, relative. */
const TOLERANCE = 1e-5;

/**
 * An input of a ReLU in step 1 is within 3e-8 of 0, and its gradient there or not by how sums are rounded, which changes norms by
 * up to 4.4e-4; one in step 7, 2.2e-5.
 */
const TOLERANCE_AT_A_KINK = 1e-3;
const KINKS: readonly number[] = [1];

test('resnet: kernels that round once have every loss of PyTorch in float64; from their weights, so has every step of ONNX Runtime', async (t) => {
  // The reference engine takes some 3 s a step.
  t.timeout(600_000);
  const resnet = await goldenCase('resnet');
  const { directory, job, loaded, losses } = resnet;
  const { graph } = loaded.training;
  const { dataset: settings, training } = job.spec;
  const dataset = await openDataset(settings, directory, graph);
  const onnxRuntime = createOnnxRuntimeEngine({ threads: 1 });
  const lead = goldenRun(resnet, devices(2), dataParallel(graph, devices(2)), createReferenceEngine(), dataset);
  const followers = Object.entries({
    'one device': goldenRun(resnet, devices(1), singleDevice(graph), onnxRuntime, dataset),
    'data on 2': goldenRun(resnet, devices(2), dataParallel(graph, devices(2)), onnxRuntime, dataset),
    'model on 3': goldenRun(resnet, devices(3), modelParallel(graph, devices(3)), onnxRuntime, dataset),
    'random on 4': goldenRun(
      resnet,
      devices(4),
      randomStrategy(graph, devices(4), createRandom(401)),
      onnxRuntime,
      dataset,
    ),
  });
  const order = new SampleOrder(dataset.samples, training.batchSize, undefined);
  for (const [step, expected] of losses.entries()) {
    for (const [, run] of followers) await copyState(lead, run);
    const at = { step, learningRate: learningRateAt(training.optimizer, step, losses.length) };
    const errorOf = async (run: typeof lead): Promise<number> => {
      const { lossSum, lossCount } = await run.train(at, order.rows(step));
      return Math.abs(lossSum / lossCount - expected) / expected;
    };
    t.true((await errorOf(lead)) <= TOLERANCE, `reference engine, step ${step}`);
    const norms = await normsOf(lead);
    for (const [name, run] of followers) {
      const [error, gradientError] = [await errorOf(run), gradientNormError(await normsOf(run), norms)];
      t.true(error <= TOLERANCE, `${name}, step ${step}: off by ${error}`);
      const tolerance = KINKS.includes(step) ? TOLERANCE_AT_A_KINK : GRADIENT_TOLERANCE;
      t.true(gradientError <= tolerance, `${name}, step ${step}: gradients off by ${gradientError}`);
    }
  }
  for (const run of [lead, ...followers.map(([, follower]) => follower)]) run.release();
  await dataset.close();
  onnxRuntime.close();
});

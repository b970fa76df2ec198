import test from 'ava';
import { GRADIENT_TOLERANCE } from '../../bench/golden/cases.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { findBuiltin } from '../../soap/models/index.ts';
import { createRandom } from '../../soap/random.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { loadModel } from '../../runtime/model/load-model.ts';
import type { GoldenCase } from '../support/train-in-memory.ts';
import { devices, gradientNormError, relativeError, trainWithGradients } from '../support/train-in-memory.ts';
import type { SmallModel } from './small.ts';
import { SMALL_MODELS, titleOf } from './small.ts';

/** Steps on the same batch. */
const STEPS = 3;

/** How far losses and norms of gradients may be off those of the reference engine on one device, relative, and at which steps. */
const LIMITS = { steps: STEPS, loss: 1e-5, gradient: GRADIENT_TOLERANCE };
const SENSITIVE_LIMITS = { steps: 1, loss: 1e-4, gradient: 1e-2 };

/** A job that trains a built-in model on one batch of synthetic samples. */
async function jobOf({ name, parameters }: SmallModel): Promise<GoldenCase> {
  const parsed = parseTrainingJob({
    apiVersion: 'soapstone.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name },
    spec: {
      model: { builtin: { name, ...parameters } },
      dataset: { synthetic: { samples: 4 }, shuffle: false },
      training: {
        batchSize: 4,
        steps: STEPS,
        seed: 1,
        loss: { name: findBuiltin(name).loss },
        optimizer: { name: 'sgd', learningRate: 0.02 },
      },
      devices: { min: 1, max: 2 },
    },
  });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  return { directory: '', job: parsed.job, loaded: await loadModel(parsed.job, ''), losses: [], gradientNorms: {} };
}

const reference = createReferenceEngine();
const onnxRuntime = createOnnxRuntimeEngine({ threads: 1 });

for (const [index, small] of SMALL_MODELS.entries()) {
  test(`${titleOf(small)}: learns its batch alike with both engines, alone and split over two devices`, async (t) => {
    const job = await jobOf(small);
    const { graph } = job.loaded.training;
    const random = randomStrategy(graph, devices(2), createRandom(index));
    const alone = await trainWithGradients(job, devices(1), singleDevice(graph), reference, STEPS);
    // Losses of some steps go up and down with what each of them drops.
    const falls = (losses: readonly number[]) => 'dropout' in small.parameters || losses.at(-1)! < losses[0]!;
    t.true(falls(alone.losses), `losses ${alone.losses.join(' ')}`);
    const limits = small.sensitive === true ? SENSITIVE_LIMITS : LIMITS;
    for (const [what, engine, count, strategy] of [
      ['reference, random', reference, 2, random],
      ['ONNX Runtime, one device', onnxRuntime, 1, singleDevice(graph)],
      ['ONNX Runtime, random', onnxRuntime, 2, random],
    ] as const) {
      const { losses, gradientNorms } = await trainWithGradients(job, devices(count), strategy, engine, STEPS);
      t.true(losses.every(Number.isFinite) && falls(losses), `${what}: losses ${losses.join(' ')}`);
      const error = relativeError(losses.slice(0, limits.steps), alone.losses.slice(0, limits.steps));
      t.true(error < limits.loss, `${what}: losses ${losses.join(' ')} and alone ${alone.losses.join(' ')}`);
      const gradientError = gradientNormError(gradientNorms, alone.gradientNorms);
      t.true(gradientError < limits.gradient, `${what}: gradients off by ${gradientError}`);
    }
  });
}

import test from 'ava';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { findBuiltin } from '../../soap/models/index.ts';
import { createRandom } from '../../soap/random.ts';
import { singleDevice } from '../../soap/strategy/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { loadModel } from '../../runtime/worker/load-job.ts';
import type { GoldenCase } from '../support/train-in-memory.ts';
import { devices, relativeError, trainInMemory } from '../support/train-in-memory.ts';
import type { SmallModel } from './small.ts';
import { SMALL_MODELS, titleOf } from './small.ts';

/** Steps on the same batch. */
const STEPS = 3;

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

for (const [index, small] of SMALL_MODELS.entries()) {
  test(`${titleOf(small)}: learns its batch, alike on one device and split at random over two`, async (t) => {
    const job = await jobOf(small);
    const { graph } = job.loaded.training;
    const engine = createReferenceEngine();
    const alone = await trainInMemory(job, devices(1), singleDevice(graph), engine, STEPS);
    // Losses of some steps go up and down with what each of them drops.
    if (!('dropout' in small.parameters)) t.true(alone.at(-1)! < alone[0]!, `losses ${alone.join(' ')}`);
    const strategy = randomStrategy(graph, devices(2), createRandom(index));
    const split = await trainInMemory(job, devices(2), strategy, engine, STEPS);
    const compared = small.sensitive === true ? 1 : STEPS;
    const error = relativeError(split.slice(0, compared), alone.slice(0, compared));
    t.true(error < 1e-4, `losses ${alone.join(' ')} and split ${split.join(' ')}`);
  });
}

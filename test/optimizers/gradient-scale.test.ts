import test from 'ava';
import type { ScaleRule, ScaleShare } from '../../runtime/program/gradient-scale.ts';
import { gradientScale, sumShares } from '../../runtime/program/gradient-scale.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { createRandom } from '../../soap/random.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import type { GoldenCase } from '../support/train-in-memory.ts';
import { devices, goldenCase, relativeError, trainInMemory } from '../support/train-in-memory.ts';

// AVA wants every test declared at once, so the file is read before the first.
const mlp = await goldenCase('mlp');
const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

const CASES: [string, ScaleShare, ScaleRule, number][] = [
  ['nothing to scale', { squares: 9, counted: 8 }, { elements: 8, clipNorm: undefined }, 1],
  ['a mean over half of the elements', { squares: 9, counted: 4 }, { elements: 8, clipNorm: undefined }, 2],
  ['a batch in which nothing counts', { squares: 0, counted: 0 }, { elements: 8, clipNorm: 1 }, 0],
  ['a norm within its limit', { squares: 9, counted: 8 }, { elements: 8, clipNorm: 4 }, 1],
  ['a norm beyond its limit', { squares: 9, counted: 8 }, { elements: 8, clipNorm: 1 }, 1 / (3 + 1e-6)],
  ['the norm of the mean', { squares: 9, counted: 4 }, { elements: 8, clipNorm: 3 }, 2 * (3 / (6 + 1e-6))],
];
for (const [title, share, rule, expected] of CASES) {
  test(`the factor of the gradients for ${title}`, (t) => t.is(gradientScale(share, rule), expected));
}

test('shares are summed to the same bits on each device', async (t) => {
  const transports = createMemoryTransports(3);
  const shares = transports.map((_, device) => ({ squares: 0.1 ** device, counted: device }));
  const sums = await Promise.all(
    transports.map((transport, device) => sumShares(shares[device]!, 3, transport, { step: 0, task: 5 })),
  );
  for (const sum of sums) t.deepEqual(sum, { squares: 1 + 0.1 + 0.1 ** 2, counted: 3 });
});

function withOptimizer(golden: GoldenCase, change: Partial<OptimizerSettings>): GoldenCase {
  const { training } = golden.job.spec;
  const optimizer: OptimizerSettings = Object.assign({}, training.optimizer, change);
  return { ...golden, job: { ...golden.job, spec: { ...golden.job.spec, training: { ...training, optimizer } } } };
}

const STEPS = 8;
const TRAINED: [string, GoldenCase][] = [
  ['clipped gradients', withOptimizer(mlp, { gradientClipNorm: 0.5 })],
  [
    'targets that do not count and clipped gradients',
    {
      ...withOptimizer(mlp, { gradientClipNorm: 0.5 }),
      loaded: {
        ...mlp.loaded,
        training: attachLoss(mlp.loaded.model.graph, 'crossEntropy', { ignoreIndex: 3, labelSmoothing: 0.1 }),
      },
    },
  ],
];
for (const [title, golden] of TRAINED) {
  test(`training with ${title} does not depend on the strategy`, async (t) => {
    const { graph } = golden.loaded.training;
    const alone = await trainInMemory(golden, devices(1), singleDevice(graph), engine, STEPS);
    t.true(relativeError(alone, golden.losses.slice(0, STEPS)) > 1e-3, 'it makes a difference');
    for (const seed of [1, 2]) {
      const strategy = randomStrategy(graph, devices(4), createRandom(seed));
      const losses = await trainInMemory(golden, devices(4), strategy, engine, STEPS);
      t.true(relativeError(losses, alone) <= 1e-5, `seed ${seed}: ${losses}`);
    }
  });
}

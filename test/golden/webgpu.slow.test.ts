import { createDeviceEngine } from '../../runtime/kernels/device/engine.ts';
import { GRADIENT_TOLERANCE } from '../../bench/golden/cases.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { onSoftwareGpu } from '../support/software-gpu.ts';
import {
  devices,
  goldenCase,
  gradientNormError,
  inMicroBatches,
  relativeError,
  trainInMemory,
  trainWithGradients,
} from '../support/train-in-memory.ts';

/** Of each loss, relative to PyTorch's in float64. */
const TOLERANCE = 1e-4;

/** A device of software takes seconds for a step of the larger ones: their first steps are trained. */
const CASES: readonly { name: string; one: number; two: number }[] = [
  { name: 'mlp', one: 20, two: 20 },
  { name: 'cnn', one: 10, two: 5 },
  { name: 'gpt', one: 10, two: 5 },
];

for (const { name, one, two } of CASES) {
  for (const count of [1, 2]) {
    onSoftwareGpu(`${name} on ${count} WebGPU devices has PyTorch's losses and gradients in float64`, async (t) => {
      t.timeout(600_000);
      const golden = await goldenCase(name);
      const { graph } = golden.loaded.training;
      const steps = count === 1 ? one : two;
      const expected = golden.losses.slice(0, steps);
      const strategy = count === 1 ? singleDevice(graph) : dataParallel(graph, devices(count));
      const engine = createDeviceEngine('webgpu', { gpu: 0 });
      const trained = await trainWithGradients(golden, devices(count), strategy, engine, steps);
      engine.close();
      const error = relativeError(trained.losses, expected);
      t.log(`largest relative error ${error.toExponential(1)}`);
      t.true(error <= TOLERANCE, `losses ${trained.losses}`);
      t.true(gradientNormError(trained.gradientNorms, golden.gradientNorms) <= GRADIENT_TOLERANCE);
    });
  }
}

onSoftwareGpu('mlp in micro-batches on two WebGPU devices has the losses of the whole batch', async (t) => {
  t.timeout(600_000);
  const golden = await inMicroBatches(await goldenCase('mlp'), 4);
  const engine = createDeviceEngine('webgpu', { gpu: 0 });
  const strategy = dataParallel(golden.loaded.training.graph, devices(2));
  const losses = await trainInMemory(golden, devices(2), strategy, engine, 2);
  engine.close();
  t.true(relativeError(losses, golden.losses.slice(0, 2)) <= TOLERANCE, `losses ${losses}`);
});

/** Two steps; the embedding of gpt adds. */
for (const name of ['mlp', 'gpt']) {
  onSoftwareGpu(`${name} under a random plan on two WebGPU devices has the same bits twice`, async (t) => {
    t.timeout(600_000);
    const golden = await goldenCase(name);
    const strategy = randomStrategy(golden.loaded.training.graph, devices(2), createRandom(77));
    const engine = createDeviceEngine('webgpu', { gpu: 0 });
    const first = await trainInMemory(golden, devices(2), strategy, engine, 2);
    t.deepEqual(await trainInMemory(golden, devices(2), strategy, engine, 2), first);
    t.true(relativeError(first, golden.losses.slice(0, 2)) <= TOLERANCE);
    engine.close();
  });
}

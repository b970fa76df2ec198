import process from 'node:process';
import { createDeviceEngine } from '../../runtime/kernels/device/engine.ts';
import { GRADIENT_TOLERANCE } from '../../bench/golden/cases.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, singleDevice } from '../../soap/strategy/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { onSoftwareGpu } from '../support/software-gpu.ts';
import {
  devices,
  goldenCase,
  gradientNormError,
  relativeError,
  trainInMemory,
  trainWithGradients,
} from '../support/train-in-memory.ts';

const FULL = process.env['SOAPSTONE_TESTS'] === 'full';

/** Of each loss, relative to PyTorch's in float64. */
const TOLERANCE = 1e-4;

/** A device of software takes seconds for a step: by default only the first are trained. */
const CASES: readonly [name: string, steps: number][] = [
  ['mlp', 3],
  ['cnn', 1],
  ['gpt', 1],
];

for (const [name, steps] of CASES) {
  for (const count of [1, 2]) {
    onSoftwareGpu(`${name} on ${count} WebGPU devices has PyTorch's losses and gradients in float64`, async (t) => {
      t.timeout(600_000);
      const golden = await goldenCase(name);
      const { graph } = golden.loaded.training;
      const expected = FULL ? golden.losses : golden.losses.slice(0, steps);
      const strategy = count === 1 ? singleDevice(graph) : dataParallel(graph, devices(count));
      const engine = createDeviceEngine('webgpu');
      const trained = await trainWithGradients(golden, devices(count), strategy, engine, expected.length);
      engine.close();
      const error = relativeError(trained.losses, expected);
      t.log(`largest relative error ${error.toExponential(1)}`);
      t.true(error <= TOLERANCE, `losses ${trained.losses}`);
      t.true(gradientNormError(trained.gradientNorms, golden.gradientNorms) <= GRADIENT_TOLERANCE);
    });
  }
}

onSoftwareGpu('mlp under a random plan on three WebGPU devices has the same bits twice', async (t) => {
  t.timeout(600_000);
  const golden = await goldenCase('mlp');
  const strategy = randomStrategy(golden.loaded.training.graph, devices(3), createRandom(77));
  const engine = createDeviceEngine('webgpu');
  const first = await trainInMemory(golden, devices(3), strategy, engine, 2);
  t.deepEqual(await trainInMemory(golden, devices(3), strategy, engine, 2), first);
  t.true(relativeError(first, golden.losses.slice(0, 2)) <= TOLERANCE);
  engine.close();
});

import test from 'ava';
import type { GoldenLimits } from '../../bench/golden/cases.ts';
import { GOLDEN_CASES, GRADIENT_TOLERANCE } from '../../bench/golden/cases.ts';
import { matrixStrategies } from '../../bench/golden/strategies.ts';
import { createRandom } from '../../soap/random.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import type { GoldenCase } from '../support/train-in-memory.ts';
import {
  devices,
  goldenCase,
  gradientNormError,
  relativeError,
  trainInMemory,
  trainWithGradients,
} from '../support/train-in-memory.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });

/** How many random strategies on each number of devices; the bench has twenty. */
const [RANDOM_STRATEGIES, DEVICE_COUNTS] = [7, [2, 3, 4]] as const;

/** AVA wants every test declared at once, so the files are read before the first. */
const loaded: [GoldenLimits, GoldenCase][] = [];
for (const each of GOLDEN_CASES) loaded.push([each, await goldenCase(each.name)]);

for (const [{ name, tolerance, steps }, golden] of loaded) {
  const { graph } = golden.loaded.training;
  const expected = golden.losses.slice(0, steps);

  for (const row of matrixStrategies(golden.loaded.training, RANDOM_STRATEGIES, DEVICE_COUNTS)) {
    test.serial(
      `${name} under ${row.name} on ${row.devices} has PyTorch's losses and gradients in float64`,
      async (t) => {
        const cluster = devices(row.devices);
        const trained = await trainWithGradients(golden, cluster, row.strategy, engine, expected.length);
        const error = relativeError(trained.losses, expected);
        const gradientError = gradientNormError(trained.gradientNorms, golden.gradientNorms);
        t.log(`largest relative errors ${error.toExponential(1)} and ${gradientError.toExponential(1)}`);
        t.true(error <= tolerance, `largest relative error ${error}, losses ${trained.losses}`);
        t.true(gradientError <= GRADIENT_TOLERANCE, `largest error of a gradient's norm ${gradientError}`);
      },
    );
  }

  test.serial(`${name} under the same plan and seed has the same bits twice`, async (t) => {
    const strategy = randomStrategy(graph, devices(3), createRandom(77));
    const first = await trainInMemory(golden, devices(3), strategy, engine, 2);
    t.deepEqual(await trainInMemory(golden, devices(3), strategy, engine, 2), first);
  });
}

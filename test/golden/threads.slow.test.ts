/** A file of its own, since engines of one process share the threads of the first one. */
import test from 'ava';
import { GOLDEN_CASES } from '../../bench/golden/cases.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { devices, goldenCase, relativeError, trainInMemory } from '../support/train-in-memory.ts';

const STEPS = 2;

const engine = createOnnxRuntimeEngine({ threads: 3, spins: true });

for (const { name, tolerance } of GOLDEN_CASES) {
  test.serial(`${name} on one device of three threads has PyTorch's losses, and the same bits twice`, async (t) => {
    const golden = await goldenCase(name);
    const strategy = dataParallel(golden.loaded.training.graph, devices(1));
    const losses = await trainInMemory(golden, devices(1), strategy, engine, STEPS);
    t.true(relativeError(losses, golden.losses.slice(0, STEPS)) <= tolerance, `${losses}`);
    t.deepEqual(await trainInMemory(golden, devices(1), strategy, engine, STEPS), losses);
  });
}

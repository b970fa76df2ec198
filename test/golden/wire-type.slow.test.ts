import test from 'ava';
import { createRandom } from '../../soap/random.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import type { GoldenCase } from '../support/train-in-memory.ts';
import { devices, goldenCase, relativeError, trainInMemory } from '../support/train-in-memory.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
const STEPS = 6;

function overBfloat16(golden: GoldenCase): GoldenCase {
  const { training } = golden.job.spec;
  const job = { ...golden.job, spec: { ...golden.job.spec, training: { ...training, wire: 'bfloat16' as const } } };
  return { ...golden, job };
}

test('bfloat16 between devices keeps the curve within its rounding, the same bits twice, and is not float32', async (t) => {
  for (const name of ['mlp', 'gpt']) {
    const golden = await goldenCase(name);
    const { graph } = golden.loaded.training;
    const strategies = [
      dataParallel(graph, devices(3)),
      dataParallel(graph, devices(2)),
      randomStrategy(graph, devices(3), createRandom(5)),
    ];
    for (const strategy of strategies) {
      const train = (): Promise<number[]> => trainInMemory(overBfloat16(golden), devices(3), strategy, engine, STEPS);
      const losses = await train();
      const error = relativeError(losses, golden.losses.slice(0, STEPS));
      t.log(`${name}: largest relative error ${error.toExponential(1)}`);
      t.true(error < 2e-2 && error > 1e-6, `largest relative error ${error}`);
      t.deepEqual(await train(), losses);
    }
  }
});

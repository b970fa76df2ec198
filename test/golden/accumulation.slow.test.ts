import test from 'ava';
import type { Graph } from '../../soap/graph/graph.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { GOLDEN_CASES, GRADIENT_TOLERANCE } from '../../bench/golden/cases.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import {
  devices,
  goldenCase,
  gradientNormError,
  inMicroBatches,
  relativeError,
  trainWithGradients,
} from '../support/train-in-memory.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

const STRATEGIES: readonly [string, number, (graph: Graph, count: number) => Strategy][] = [
  ['one device', 1, singleDevice],
  ['data', 2, (graph, count) => dataParallel(graph, devices(count))],
  ['model', 3, (graph, count) => modelParallel(graph, devices(count))],
  ['random', 4, (graph, count) => randomStrategy(graph, devices(count), createRandom(11))],
  ['random', 3, (graph, count) => randomStrategy(graph, devices(count), createRandom(12))],
];

/** A case, and how many micro-batches its batch is taken in. No batch normalization: its statistics are a micro-batch's. */
for (const [name, steps] of [
  ['mlp', 4],
  ['cnn', 2],
  ['gpt', 8],
  ['dlrm', 2],
  ['lstm', 4],
] as const) {
  test.serial(`${name} in ${steps} micro-batches has PyTorch's losses and gradients of the whole batch`, async (t) => {
    const golden = await inMicroBatches(await goldenCase(name), steps);
    const { tolerance } = GOLDEN_CASES.find((each) => each.name === name)!;
    const { graph } = golden.loaded.training;
    for (const [title, count, strategyOf] of STRATEGIES) {
      const strategy = strategyOf(graph, count);
      const run = () => trainWithGradients(golden, devices(count), strategy, engine, 8);
      const { losses, gradientNorms } = await run();
      const error = relativeError(losses, golden.losses.slice(0, 8));
      t.true(error <= tolerance, `${title} on ${count}: largest relative error ${error}`);
      const gradientError = gradientNormError(gradientNorms, golden.gradientNorms);
      t.true(gradientError <= GRADIENT_TOLERANCE, `${title} on ${count}: largest error of a norm ${gradientError}`);
      if (title === 'random') t.deepEqual(await run(), { losses, gradientNorms }, 'the same bits twice');
    }
  });
}

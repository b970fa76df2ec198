import { readFile } from 'node:fs/promises';
import test from 'ava';
import { importOnnx } from '../../soap/conversion/import.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { createRandom } from '../../soap/random.ts';
import { divisorsUpTo } from '../../soap/region/divisors.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { devices, goldenCase, relativeError, trainInMemory } from '../support/train-in-memory.ts';

/** As the issue asks of the golden lstm: relative to PyTorch in float64. */
const TOLERANCE = 1e-4;
const [DEVICES, TRAINED_STEPS] = [4, 2];

const engine = createOnnxRuntimeEngine({ threads: 1 });

/** The golden lstm with an op for each step, as the paper unrolls. */
const golden = await goldenCase('lstm');
const onnx = decodeOnnx(await readFile(`${golden.directory}model.onnx`));
const model = importOnnx(onnx, { batch: golden.job.spec.training.batchSize, unrollSteps: 1 });
const { graph } = model;
const training = attachLoss(graph, 'crossEntropy');
const stepwise = { ...golden, loaded: { model, training } };

/** Cuts the units of every step, so that all devices compute some of them; other ops stay whole, one device each in turn. */
function unitsApart(): Strategy {
  return {
    configs: training.graph.ops.map((op, index) => {
      const degrees = opDimensions(training.graph, op).map(({ name, size }) =>
        op.kind === 'lstm' && name === 'channel' ? divisorsUpTo(size, DEVICES).at(-1)! : 1,
      );
      const parts = degrees.reduce((a, b) => a * b, 1);
      return { degrees, devices: Array.from({ length: parts }, (_, part) => (index + part) % DEVICES) };
    }),
  };
}

const strategies: [string, Strategy][] = [
  ['with the units of every step on four devices', unitsApart()],
  ['under a random strategy', randomStrategy(training.graph, devices(DEVICES), createRandom(3))],
];
// AVA wants every test and hook declared at once, so the file is read before the first.
test.after.always(() => engine.close());

for (const [what, strategy] of strategies) {
  test.serial(`lstm, unrolled step by step ${what}, has the losses of PyTorch in float64`, async (t) => {
    t.is(graph.ops.filter(({ kind }) => kind === 'lstm').length, 2 * 20);
    const losses = await trainInMemory(stepwise, devices(DEVICES), strategy, engine, TRAINED_STEPS);
    const error = relativeError(losses, golden.losses.slice(0, TRAINED_STEPS));
    t.log(`largest relative error ${error.toExponential(1)}`);
    t.true(error <= TOLERANCE, `losses ${losses}`);
  });
}

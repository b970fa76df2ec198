import process from 'node:process';
import test from 'ava';
import type { Graph, Op } from '../../soap/graph/graph.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, expertStrategy, modelParallel, singleDevice } from '../../soap/strategy/baselines/index.ts';
import { divisorsUpTo } from '../../soap/strategy/divisors.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { OpConfig, Strategy } from '../../soap/strategy/strategy.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { GoldenCase } from '../support/train-in-memory.ts';
import { devices, goldenCase, relativeError, trainInMemory } from '../support/train-in-memory.ts';

/** test/run.sh asks for it: minutes in place of seconds. */
const FULL = process.env['SOAPSTONE_TESTS'] === 'full';

/** A case with how far its losses may be off, as the issue asks: relative to PyTorch in float64. */
interface Golden {
  readonly name: string;
  readonly tolerance: number;
  readonly randomStrategies: number;
  /** Steps to train; all where left out. */
  readonly steps?: number;
}

const CASES: readonly Golden[] = [
  { name: 'mlp', tolerance: 1e-5, randomStrategies: FULL ? 10 : 2 },
  { name: 'cnn', tolerance: 1e-5, randomStrategies: FULL ? 10 : 2 },
  { name: 'gpt', tolerance: 1e-5, randomStrategies: FULL ? 10 : 2 },
  { name: 'dlrm', tolerance: 1e-5, randomStrategies: FULL ? 10 : 2 },
  { name: 'lstm', tolerance: 1e-4, randomStrategies: FULL ? 10 : 2 },
  // Later steps depend on chance: a value of step 1 is within 3e-8 of 0, one of step 6 within 2e-6. Where rounding puts it on
  // the other side of the ReLU, the loss is off by up to 4% at the end. With exact sums no step is off; see the last test.
  { name: 'resnet', tolerance: 1e-4, randomStrategies: FULL ? 10 : 2, steps: 3 },
];

const engine = createOnnxRuntimeEngine({ threads: 1 });

/** Splits ops along named dimensions as far as `degree` allows; the rest stays whole on device 0. */
function splitBy(graph: Graph, degree: number, choose: (op: Op) => readonly string[]): Strategy {
  return {
    configs: graph.ops.map((op): OpConfig => {
      const names = choose(op);
      const degrees = opDimensions(graph, op).map(({ name, size }) =>
        names.includes(name) ? divisorsUpTo(size, degree).at(-1)! : 1,
      );
      const parts = degrees.reduce((a, b) => a * b, 1);
      return { degrees, devices: Array.from({ length: parts }, (_, part) => part % 4) };
    }),
  };
}

function strategiesOf(graph: Graph, randomStrategies: number): [string, number, Strategy][] {
  const summed = opsSummed(graph);
  const strategies: [string, number, Strategy][] = [
    ['one device', 1, singleDevice(graph)],
    ['data parallel on 4', 4, dataParallel(graph, devices(4))],
    ['model parallel on 4', 4, modelParallel(graph, devices(4))],
    ['expert on 4', 4, expertStrategy(graph, devices(4))],
    [`all that is summed over: ${[...summed].join(', ')}`, 4, splitBy(graph, 2, () => [...summed])],
  ];
  if (graph.ops.some(({ kind }) => kind === 'conv2d')) {
    strategies.push(['height into 7', 4, splitBy(graph, 7, () => ['height'])]);
    if (FULL) strategies.push(['height and width', 4, splitBy(graph, 2, () => ['height', 'width'])]);
  }
  for (let seed = 1; seed <= randomStrategies; seed++) {
    const count = 2 + (seed % 3);
    strategies.push([`random ${seed} on ${count}`, count, randomStrategy(graph, devices(count), createRandom(seed))]);
  }
  return strategies;
}

/** Names of the dimensions whose parts hold partial sums. */
function opsSummed(graph: Graph): Set<string> {
  const dimensions = graph.ops.flatMap((op) => opDimensions(graph, op));
  return new Set(dimensions.filter(({ axis }) => axis === undefined).map(({ name }) => name));
}

/** AVA wants every test declared at once, so the files are read before the first. */
const loaded: [Golden, GoldenCase][] = [];
for (const each of CASES) loaded.push([each, await goldenCase(each.name)]);

for (const [{ name, tolerance, randomStrategies, steps }, golden] of loaded) {
  const { graph } = golden.loaded.training;
  const expected = golden.losses.slice(0, steps);

  for (const [title, count, strategy] of strategiesOf(graph, randomStrategies)) {
    test.serial(`${name} under ${title} has the losses of PyTorch in float64`, async (t) => {
      const losses = await trainInMemory(golden, devices(count), strategy, engine, expected.length);
      const error = relativeError(losses, expected);
      t.log(`largest relative error ${error.toExponential(1)}`);
      t.true(error <= tolerance, `largest relative error ${error}, losses ${losses}`);
    });
  }

  test.serial(`${name} under the same plan and seed has the same bits twice`, async (t) => {
    const strategy = randomStrategy(graph, devices(3), createRandom(77));
    const first = await trainInMemory(golden, devices(3), strategy, engine, 2);
    t.deepEqual(await trainInMemory(golden, devices(3), strategy, engine, 2), first);
  });
}

if (FULL) {
  test.serial('resnet with kernels that round once has every loss of PyTorch in float64', async (t) => {
    t.timeout(600_000);
    const [, resnet] = loaded.find(([{ name }]) => name === 'resnet')!;
    const strategy = dataParallel(resnet.loaded.training.graph, devices(2));
    const losses = await trainInMemory(resnet, devices(2), strategy, createReferenceEngine());
    t.true(relativeError(losses, resnet.losses) <= 1e-4, `${losses}`);
  });
}

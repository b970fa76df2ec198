import test from 'ava';
import { copyRegion, onHost } from '../../runtime/kernels/regions.ts';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { InMemoryRun } from '../../runtime/program/in-memory.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import { freezeNamed } from '../../soap/graph/freeze.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import { builtinGraph, findBuiltin } from '../../soap/models/index.ts';
import { initializeWeights } from '../../soap/models/initialize.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';
import { wholeRegion } from '../../soap/region/region.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { planWork } from '../../runtime/program/planned-work.ts';
import type { SmallModel } from '../models/small.ts';
import { SMALL_MODELS, titleOf } from '../models/small.ts';
import { parameterNames, trainedNamesOf, usualFreezes } from '../support/freezing.ts';
import { FULL_RUN } from '../support/full-run.ts';
import { sgd } from '../support/sgd.ts';
import { devices } from '../support/train-in-memory.ts';
import { usualStrategies } from '../support/usual-strategies.ts';

const [BATCH, STEPS, SEED] = [4, 3, 5];

/** Its epsilon keeps what should be 0, such as gradients of the biases of keys, from counting by its sign alone. */
const ADAMW: OptimizerSettings = {
  name: 'adamw',
  learningRate: 0.01,
  betas: [0.9, 0.999],
  epsilon: 1e-3,
  weightDecay: 0.1,
  schedule: { name: 'constant', warmupSteps: 0 },
};
const OPTIMIZERS: readonly OptimizerSettings[] = [sgd({ momentum: 0.9, weightDecay: 0.01 }), ADAMW];

type Weights = ReadonlyMap<string, Float32Array>;

/** What some steps of training come to: the losses, and the parameters afterwards. */
interface Trained {
  readonly losses: readonly number[];
  readonly weights: Weights;
}

interface Case {
  readonly training: TrainingGraph;
  readonly weights: Weights;
  readonly optimizer: OptimizerSettings;
}

/** Every parameter as all devices together have it. */
async function wholeWeights({ layout, programs }: InMemoryRun): Promise<Map<string, Float32Array>> {
  const whole = new Map<string, Float32Array>();
  for (const { parameters } of programs) {
    await parameters.download();
    for (const { shard, weight } of parameters.states) {
      const { name, shape } = layout.graph.tensors[shard.tensor]!;
      const memory = whole.get(name) ?? new Float32Array(elementCount(shape));
      whole.set(name, memory);
      copyRegion(onHost({ memory: weight, frame: shard.region }), { memory, frame: wholeRegion(shape) }, shard.region);
    }
  }
  return whole;
}

/** @param onStep is called after each */
async function train(
  { training, weights, optimizer }: Case,
  count: number,
  strategy: Strategy,
  onStep?: (run: InMemoryRun) => Promise<void>,
): Promise<Trained> {
  const dataset = await openDataset({ synthetic: { samples: STEPS * BATCH }, shuffle: false }, '.', training.graph);
  const engine = createReferenceEngine();
  const run = new InMemoryRun({
    training,
    weights,
    strategy,
    cluster: devices(count),
    engine,
    optimizer,
    dataset,
    seed: 1,
  });
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const rows = Array.from({ length: BATCH }, (_, i) => step * BATCH + i);
    const { lossSum, lossCount } = await run.train({ step, learningRate: optimizer.learningRate }, rows);
    losses.push(lossSum / lossCount);
    await onStep?.(run);
  }
  const after = await wholeWeights(run);
  run.release();
  return { losses, weights: after };
}

/** Training of all parameters on one device, with the updates of some undone after each step. */
async function undone(each: Case, frozen: ReadonlySet<string>): Promise<Trained> {
  return train(each, 1, singleDevice(each.training.graph), async ({ layout, programs }) => {
    const { parameters } = programs[0]!;
    await parameters.download();
    for (const { shard, weight } of parameters.states) {
      const { name, shape } = layout.graph.tensors[shard.tensor]!;
      const initial = { memory: each.weights.get(name)!, frame: wholeRegion(shape) };
      if (frozen.has(name)) copyRegion(initial, onHost({ memory: weight, frame: shard.region }), shard.region);
    }
    await parameters.upload();
  });
}

/** Largest difference of two runs' weights, against the largest weight. */
function weightError(actual: Weights, expected: Weights): number {
  const errors = [...expected].map(([name, values]) => {
    const size = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-2);
    return values.reduce((worst, value, i) => Math.max(worst, Math.abs(value - actual.get(name)![i]!)), 0) / size;
  });
  return Math.max(...errors);
}

function lossError(actual: readonly number[], expected: readonly number[]): number {
  return Math.max(...expected.map((loss, step) => Math.abs(actual[step]! - loss) / loss));
}

function caseOf({ name, parameters }: SmallModel, optimizer: OptimizerSettings): Case {
  const graph = builtinGraph(name, BATCH, parameters);
  return { training: attachLoss(graph, findBuiltin(name).loss), weights: initializeWeights(graph, SEED), optimizer };
}

function frozenCase(each: Case, { name, parameters }: SmallModel, frozen: ReadonlySet<string>): Case {
  const graph = freezeNamed(builtinGraph(name, BATCH, parameters), frozen);
  return { ...each, training: attachLoss(graph, findBuiltin(name).loss) };
}

const WITHOUT_ROUNDING = SMALL_MODELS.filter(({ sensitive }) => sensitive !== true);
/** The full run has all. */
const QUICK = ['lenet', 'gpt'];
const MODELS = FULL_RUN ? WITHOUT_ROUNDING : QUICK.map((kind) => WITHOUT_ROUNDING.find(({ name }) => name === kind)!);

for (const [index, model] of MODELS.entries()) {
  test(`trained with frozen parameters, it is as if their updates were undone: ${titleOf(model)}`, async (t) => {
    const optimizer = OPTIMIZERS[index % OPTIMIZERS.length]!;
    const whole = caseOf(model, optimizer);
    for (const [title, names] of usualFreezes(whole.training.graph, index)) {
      const expected = await undone(whole, names);
      const frozen = frozenCase(whole, model, names);
      const one = await train(frozen, 1, singleDevice(frozen.training.graph));
      t.deepEqual(one.losses, expected.losses, `${title}, one device`);
      t.deepEqual(one.weights, expected.weights, `${title}, one device`);
      const count = 2 + (index % 3);
      const [, ...strategies] = usualStrategies(frozen.training.graph, devices(count), 2);
      for (const [name, strategy] of strategies) {
        const split = await train(frozen, count, strategy);
        for (const each of names) t.deepEqual(split.weights.get(each), whole.weights.get(each), `${each}, ${name}`);
        t.true(lossError(split.losses, expected.losses) < 1e-4, `${title}, ${name}: ${split.losses.join()}`);
        const error = weightError(split.weights, expected.weights);
        t.true(error < 1e-3, `${title}, ${name}: weights are off by ${error}`);
      }
      for (const each of trainedNamesOf(frozen.training.graph))
        t.notDeepEqual(expected.weights.get(each), whole.weights.get(each), `${each} is trained`);
    }
  });
}

test('gradients are clipped by the norm of those of trained parameters alone', async (t) => {
  const model = MODELS[0]!;
  const [learningRate, clip] = [0.1, 1e-3];
  const plain = caseOf(model, sgd({ learningRate }));
  const names = new Set(parameterNames(plain.training.graph).slice(0, -2));
  // The first step of training without clipping tells the gradients.
  const gradients = new Map<string, Float32Array>();
  let steps = 0;
  await train(plain, 1, singleDevice(plain.training.graph), async (run) => {
    if (steps++ > 0) return;
    for (const [name, values] of await wholeWeights(run))
      gradients.set(
        name,
        values.map((value, i) => (plain.weights.get(name)![i]! - value) / learningRate),
      );
  });
  const trained = [...gradients].filter(([name]) => !names.has(name));
  const squares = trained.flatMap(([, values]) => Array.from(values, (value) => value * value));
  const norm = Math.sqrt(squares.reduce((a, b) => a + b, 0));
  t.true(norm > 2 * clip);
  const frozen = { ...frozenCase(plain, model, names), optimizer: sgd({ learningRate, gradientClipNorm: clip }) };
  for (const [count, [title, strategy]] of [1, 3, 4].flatMap((count) =>
    usualStrategies(frozen.training.graph, devices(count), 1).map((each) => [count, each] as const),
  )) {
    let step = 0;
    await train(frozen, count, strategy, async (run) => {
      if (step++ > 0) return;
      for (const [name, values] of await wholeWeights(run)) {
        const scale = names.has(name) ? 0 : (learningRate * clip) / norm;
        const expected = plain.weights.get(name)!.map((value, i) => value - scale * gradients.get(name)![i]!);
        const error = weightError(new Map([[name, values]]), new Map([[name, expected]]));
        t.true(error < 1e-6, `${name} on ${count}, ${title}: off by ${error}`);
      }
    });
  }
});

test('frozen parameters have no gradients, no optimizer state, and no tasks', (t) => {
  const model = MODELS[0]!;
  const names = usualFreezes(caseOf(model, ADAMW).training.graph, 1)[0]![1];
  const { training } = frozenCase(caseOf(model, ADAMW), model, names);
  for (const [title, strategy] of usualStrategies(training.graph, devices(3), 2)) {
    const { tasks, layout } = planWork(training, strategy, devices(3));
    const isFrozen = (shard: number): boolean => names.has(training.graph.tensors[layout.shards[shard]!.tensor]!.name);
    const shards = tasks.tasks.flatMap((task) =>
      task.kind === 'update' || task.kind === 'collective' ? [task.shard] : [],
    );
    t.false(shards.some(isFrozen), title);
    t.true(shards.length > 0 && layout.shards.some(({ id }) => isFrozen(id)), title);
  }
});

import test from 'ava';
import { dataParallel, modelParallel } from '../../soap/baselines/index.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { CostSource } from '../../soap/cost/cost-source.ts';
import type { TaskWork } from '../../soap/cost/task-work.ts';
import { freeze } from '../../soap/graph/freeze.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { OPTIMIZER_STATES } from '../../soap/job/optimizer-states.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';
import { costShares } from '../../soap/search/cost-shares.ts';
import { DeltaSimulation } from '../../soap/simulator/delta/delta-simulation.ts';
import { listSuccessors, TaskList } from '../../soap/simulator/delta/neighbours.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { programMemory } from '../../soap/simulator/program-memory.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';

const cluster = presetCluster('p100x4');
const GRAPH = builtinGraph('gpt', 8, { layers: 4, width: 64, heads: 4, sequence: 16, vocabulary: 128 });
const WHOLE = attachLoss(GRAPH, 'crossEntropy');
const names = GRAPH.tensors.flatMap(({ name, role }) => (role === 'parameter' ? [name] : []));
/** All but what comes last, as a head is trained; and what is in the middle alone. */
const TRUNK = attachLoss(freeze(GRAPH, names.slice(0, -2)), 'crossEntropy');
const MIDDLE = attachLoss(freeze(GRAPH, names.slice(names.length / 2, names.length / 2 + 8)), 'crossEntropy');

const STRATEGIES: readonly (readonly [string, Strategy])[] = [
  ['data', dataParallel(WHOLE.graph, cluster)],
  ['model', modelParallel(WHOLE.graph, cluster)],
];

/** Floating point operations of all tasks of an iteration, by direction. */
function flopsOf(training: TrainingGraph, strategy: Strategy): Record<TaskWork['direction'], number> {
  const flops = { forward: 0, backward: 0, update: 0 };
  const costs: CostSource = {
    ...createRooflineCosts(),
    durationUs(work) {
      flops[work.direction] += work.flops;
      return 1;
    },
  };
  buildTaskGraph(training, strategy, cluster, costs);
  return flops;
}

for (const [name, strategy] of STRATEGIES) {
  test(`frozen parameters save backward passes, sums, updates and memory: ${name}`, (t) => {
    const [whole, trunk, middle] = [WHOLE, TRUNK, MIDDLE].map((training) => flopsOf(training, strategy));
    t.is(trunk!.forward, whole!.forward);
    t.is(middle!.forward, whole!.forward);
    // Of a frozen trunk only the head goes back, less than a tenth.
    t.true(trunk!.backward < whole!.backward / 10);
    t.true(middle!.backward < whole!.backward);
    t.true(trunk!.update < middle!.update && middle!.update < whole!.update);
    const times = [WHOLE, TRUNK].map((training) =>
      evaluate({ training, cluster, costs: createRooflineCosts(), optimizer: 'adam' }, strategy),
    );
    t.true(times[1]!.iterationMs < times[0]!.iterationMs / 2);
    t.true(times[1]!.transferredBytes < times[0]!.transferredBytes);
    t.true(times[1]!.peakMemoryBytes < times[0]!.peakMemoryBytes);
  });
}

test('of a frozen linear layer in the middle the gradient of its weight is left out, half of its backward pass', (t) => {
  const linear = GRAPH.ops.filter(({ kind }) => kind === 'linear')[3]!;
  const weight = GRAPH.tensors[linear.inputs[1]!]!;
  const training = attachLoss(freeze(GRAPH, [weight.name]), 'crossEntropy');
  const [, strategy] = STRATEGIES[0]!;
  const saved = flopsOf(WHOLE, strategy).backward - flopsOf(training, strategy).backward;
  const rows = elementCount(GRAPH.tensors[linear.inputs[0]!]!.shape) / GRAPH.tensors[linear.inputs[0]!]!.shape.at(-1)!;
  t.is(saved, 2 * rows * elementCount(weight.shape));
});

test('a device has the values of frozen parameters and nothing more of them', (t) => {
  const [, strategy] = STRATEGIES[0]!;
  const kept = (training: TrainingGraph): number =>
    programMemory({ training, cluster, optimizer: 'adam' }, strategy)[0]!.keptBytes;
  const frozen = names.slice(0, -2).map((name) => GRAPH.tensors.find((tensor) => tensor.name === name)!);
  const frozenBytes = 4 * frozen.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  // The gradient and what the optimizer keeps; statistics of backward passes that are gone are kept no more, either.
  const saved = kept(WHOLE) - kept(TRUNK);
  t.true(saved >= (1 + OPTIMIZER_STATES.adam.length) * frozenBytes);
  t.true(saved < (1 + OPTIMIZER_STATES.adam.length) * frozenBytes + 1e5);
});

test('what costs rest on is told of the tasks there are', (t) => {
  const costs: CostSource = {
    ...createRooflineCosts(),
    durationUs: () => 1,
    basis: ({ direction }) => (direction === 'update' ? 'measured' : 'roofline'),
  };
  for (const training of [WHOLE, TRUNK])
    for (const [name, strategy] of STRATEGIES) {
      const { tasks } = buildTaskGraph(training, strategy, cluster, costs);
      const count = (...kinds: readonly string[]): number => tasks.filter(({ kind }) => kinds.includes(kind)).length;
      const [updates, passes] = [count('update'), count('forward', 'backward')];
      const statistics = tasks.filter((task) => 'stage' in task && task.stage === 'statistics').length;
      const { measured } = costShares({ training, cluster, costs }, strategy);
      t.true(Math.abs(measured - updates / (updates + passes - statistics)) < 1e-9, name);
    }
});

test('nothing waits for an update that is not there', (t) => {
  for (const [name, strategy] of STRATEGIES) {
    const simulation = new DeltaSimulation({ training: MIDDLE, cluster, costs: createRooflineCosts() }, strategy);
    const tasks = new Set(simulation.order);
    const list = new TaskList();
    for (const task of tasks) {
      listSuccessors(simulation.network, task, list);
      const listed = list.ids.subarray(0, list.count);
      t.true(
        listed.every((each) => tasks.has(each)),
        name,
      );
    }
  }
});

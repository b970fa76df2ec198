import test from 'ava';
import * as fc from 'fast-check';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { createRandom } from '../../soap/random.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { search } from '../../soap/search/search.ts';
import { StepSimulation } from '../../soap/simulator/delta/step-simulation.ts';
import { simulateNaively } from '../../soap/simulator/naive.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import { randomConfig, randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import { deviceMemoryBytes } from '../../soap/tasks/memory.ts';

const costs = createRooflineCosts();
const [BATCH, STEPS] = [64, 4];
const lenet = (steps: number) => attachLoss(builtinGraph('lenet', BATCH / steps), 'crossEntropy', {}, steps);
const problem = {
  training: lenet(STEPS),
  cluster: presetCluster('p100x8'),
  costs,
  wire: 'bfloat16',
  clipsGradients: true,
} as const;

/** The step by its definition: each micro-batch built and simulated whole, in the given way. */
function stepUs(strategy: Strategy, by: typeof simulate): number {
  const iterationUs = (microBatch: 'earlier' | 'last'): number =>
    by(buildTaskGraph(problem.training, strategy, problem.cluster, costs, problem, microBatch)).makespanUs;
  return (STEPS - 1) * iterationUs('earlier') + iterationUs('last');
}

const isNear = (actual: number, expected: number): boolean => Math.abs(actual - expected) <= 1e-9 * expected;

test('a step of several micro-batches takes what they take by themselves, while ops change', (t) => {
  const { training, cluster } = problem;
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e6 }), (seed) => {
      const random = createRandom(seed);
      const simulation = new StepSimulation(problem, randomStrategy(training.graph, cluster, random));
      for (let move = 0; move < 12; move++) {
        const op = random.integer(training.graph.ops.length);
        const changes = [{ op, config: randomConfig(training.graph, training.graph.ops[op]!, cluster, random) }];
        const before = simulation.makespanUs;
        const limitUs = random.integer(2) === 0 ? Infinity : before * (0.8 + 0.5 * random.next());
        const { makespanUs } = simulation.propose(changes, { makespanUs: limitUs });
        if (makespanUs !== Infinity && random.integer(3) > 0) {
          simulation.accept();
          t.true(isNear(makespanUs, stepUs(simulation.strategy, simulate)));
          continue;
        }
        simulation.reject();
        t.is(simulation.makespanUs, before);
        if (makespanUs !== Infinity) continue;
        t.true(simulation.propose(changes).makespanUs > limitUs, 'what was cut short is beyond the limit');
        simulation.reject();
      }
      t.true(isNear(simulation.makespanUs, stepUs(simulation.strategy, simulateNaively)));
    }),
    { numRuns: 10 },
  );
});

test('a step of several micro-batches sums and updates once, needs a place for sums, and less for activations', (t) => {
  const { training, cluster } = problem;
  const strategy = dataParallel(training.graph, cluster);
  const graphs = (['earlier', 'last'] as const).map((microBatch) =>
    buildTaskGraph(training, strategy, cluster, costs, problem, microBatch),
  );
  const kinds = graphs.map(({ tasks }) => new Set(tasks.map(({ kind }) => kind)));
  t.deepEqual(
    kinds.map((set) => set.has('collective')),
    [false, true],
  );
  const [earlierUs, lastUs] = graphs.map(({ tasks }) => tasks.find(({ kind }) => kind === 'update')!.durationUs);
  t.true(earlierUs! > 0 && earlierUs! < lastUs!);
  const prediction = evaluate(problem, strategy);
  const whole = evaluate({ ...problem, training: lenet(1) }, strategy);
  t.is(prediction.transferredBytes, whole.transferredBytes, 'gradients travel once a step');
  t.true(isNear(prediction.samplesPerSecond, (BATCH * 1000) / prediction.iterationMs));
  const needs = (steps: number): number => deviceMemoryBytes(layOut(lenet(steps), strategy), 8)[0]!;
  const parameterBytes = lenet(1)
    .graph.tensors.filter(({ role }) => role === 'parameter')
    .reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
  // The images and all that is computed from them are as many times fewer, and the sums come on top.
  const activations = needs(1) - 3 * parameterBytes;
  t.is(needs(STEPS), 4 * parameterBytes + activations / STEPS);
  const alone = attachLoss(builtinGraph('lenet', BATCH / STEPS), 'crossEntropy');
  const without = evaluate({ ...problem, training: alone }, strategy).peakMemoryBytes;
  t.is(
    prediction.peakMemoryBytes,
    without + parameterBytes,
    'what a device keeps is counted where memory is used again, too',
  );
});

test('with bfloat16 on the wire, transfers and sums are half as large, and statistics are not', (t) => {
  const training = attachLoss(builtinGraph('resnet50', 4), 'crossEntropy');
  const cluster = presetCluster('k80x4');
  const strategy = randomStrategy(training.graph, cluster, createRandom(3));
  const [plain, halved] = (['float32', 'bfloat16'] as const).map((wire) =>
    buildTaskGraph(training, strategy, cluster, costs, { wire }),
  );
  const seen = new Set<string>();
  plain!.tasks.forEach((task, id) => {
    const other = halved!.tasks[id]!;
    if (!('bytes' in task) || !('bytes' in other)) return;
    seen.add(task.kind);
    const [before, after] = [task, other].map((each) => (each.kind === 'collective' ? each.messageBytes : each.bytes));
    t.is(after, task.kind === 'gather' ? before : before! / 2);
  });
  t.deepEqual([...seen].sort(), ['collective', 'gather', 'transfer']);
  t.true(simulate(halved!).makespanUs < simulate(plain!).makespanUs);
});

test('a search for a step of several micro-batches finds a plan that is the fastest for that', (t) => {
  const settings = { seconds: 60, proposals: 300, seed: 1, beta: 200, chains: 1, start: ['data'] } as const;
  const { best, baselines } = search(problem, settings, { nowMs: () => 0 });
  t.true(isNear(best.prediction.iterationMs * 1000, stepUs(best.strategy, simulate)));
  for (const { iterationMs } of Object.values(baselines)) t.true(best.prediction.iterationMs <= iterationMs);
});

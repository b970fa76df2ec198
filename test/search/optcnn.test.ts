import test from 'ava';
import * as fc from 'fast-check';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { TaskWork } from '../../soap/cost/task-work.ts';
import { freeze } from '../../soap/graph/freeze.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { convolution, fullyConnected } from '../../soap/models/layers.ts';
import type { ModelParameters } from '../../soap/models/parameters.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { optcnnStrategy } from '../../soap/search/optcnn/optcnn-strategy.ts';
import { costTables } from '../../soap/search/optcnn/cost-tables.ts';
import type { AdditiveProblem } from '../../soap/search/optcnn/elimination.ts';
import { costOf, planElimination, solveByElimination } from '../../soap/search/optcnn/elimination.ts';
import { unitsOf } from '../../soap/search/optcnn/units.ts';
import { search } from '../../soap/search/search.ts';
import { wiringOf } from '../../soap/simulator/delta/wiring.ts';
import { validateStrategy } from '../../soap/strategy/validate.ts';
import { deviceClasses, OpGeometries } from '../../soap/tasks/geometry/op-geometry.ts';

/** The least cost of all combinations of choices. */
function bruteForce(problem: AdditiveProblem): number {
  const combinations = problem.nodeCosts.reduce<number[][]>(
    (rows, costs) => rows.flatMap((row) => Array.from(costs, (_, choice) => [...row, choice])),
    [[]],
  );
  return Math.min(...combinations.map((choices) => costOf(problem, choices)));
}

const SHAPES: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  'nothing joined': [],
  chain: [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 4],
  ],
  'chain with two edges between neighbours': [
    [0, 1],
    [1, 0],
    [1, 2],
    [2, 3],
  ],
  diamond: [
    [0, 1],
    [0, 2],
    [1, 3],
    [2, 3],
    [3, 4],
  ],
  'diamonds within a diamond': [
    [0, 1],
    [1, 2],
    [1, 3],
    [2, 4],
    [3, 4],
    [0, 4],
    [4, 5],
  ],
  'all joined': [
    [0, 1],
    [0, 2],
    [0, 3],
    [1, 2],
    [1, 3],
    [2, 3],
    [3, 4],
  ],
};

for (const [name, edges] of Object.entries(SHAPES)) {
  test(`elimination finds the least cost: ${name}`, (t) => {
    const nodes = 1 + Math.max(0, ...edges.flat());
    const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: nodes, maxLength: nodes });
    const cost = fc.integer({ min: 0, max: 20 });
    const problems = sizes.chain((counts) => {
      const table = (length: number): fc.Arbitrary<Float64Array> =>
        fc.array(cost, { minLength: length, maxLength: length }).map((costs) => Float64Array.from(costs));
      return fc.record({
        nodeCosts: fc.tuple(...counts.map(table)),
        edges: fc.tuple(...edges.map(([a, b]) => table(counts[a]! * counts[b]!).map((costs) => ({ a, b, costs })))),
      });
    });
    fc.assert(
      fc.property(problems, (problem) => {
        const plan = planElimination(
          problem.nodeCosts.map(({ length }) => length),
          problem.edges,
        )!;
        t.is(plan.rest.length, name === 'all joined' ? 4 : 0);
        const { choices, cost } = solveByElimination(problem, plan);
        t.is(cost, costOf(problem, choices));
        t.is(cost, bruteForce(problem));
      }),
      { numRuns: 60 },
    );
  });
}

test('a graph in which many are joined with many does not reduce', (t) => {
  const ids = [0, 1, 2, 3, 4, 5, 6];
  const edges = ids.flatMap((a) => ids.slice(a + 1).map((b) => ({ a, b })));
  t.is(
    planElimination(
      ids.map(() => 20),
      edges,
    ),
    undefined,
  );
  t.deepEqual(
    planElimination(
      ids.map(() => 2),
      edges,
    )?.rest,
    ids,
  );
});

function problemOf(name: string, batch: number, cluster: string, parameters: ModelParameters = {}): PlanningProblem {
  return {
    training: attachLoss(builtinGraph(name, batch, parameters), 'crossEntropy'),
    cluster: presetCluster(cluster),
    costs: createRooflineCosts(),
  };
}

/** OptCNN's costs of a problem, with the degrees that the choices of each unit stand for. */
function tablesOf(problem: PlanningProblem) {
  const { training, cluster, costs } = problem;
  const wiring = wiringOf(training);
  const geometries = new OpGeometries(training.graph, costs, deviceClasses(cluster.devices));
  const units = unitsOf(training.graph, wiring.parameters, (op) => geometries.dimensions(op), cluster.devices.length)!;
  return { tables: costTables(problem, wiring, geometries, units), units };
}

/** A convolution and what follows, with a way around. */
function residual(): PlanningProblem {
  const builder = new GraphBuilder();
  const x = convolution(builder, 'conv1', builder.input('x', [4, 2, 6, 6]), { channels: 4, kernel: 3, padding: 1 });
  const y = convolution(builder, 'conv2', x, { channels: 4, kernel: 3, padding: 1 });
  const flat = builder.op('flatten', 'flatten', [builder.op('add', 'add', [x, y])]);
  const training = attachLoss(builder.build('residual', [fullyConnected(builder, 'fc', flat, 4)]), 'crossEntropy');
  return { training, cluster: presetCluster('p100x2'), costs: createRooflineCosts() };
}

test('the strategy has the least cost of all, on a residual block', (t) => {
  const problem = residual();
  const { tables, units } = tablesOf(problem);
  const { configs } = optcnnStrategy(problem)!;
  const choices = units.map(({ ops, choices }) =>
    choices.findIndex((each) => `${each}` === `${configs[ops[0]!]!.degrees}`),
  );
  t.is(costOf(tables, choices), bruteForce(tables));
});

test('the sums and updates of what is frozen cost nothing', (t) => {
  const costs = { ...createRooflineCosts(), durationUs: ({ direction }: TaskWork) => (direction === 'update' ? 1 : 0) };
  const builder = new GraphBuilder();
  const graph = builder.build('layers', [
    fullyConnected(builder, 'fc2', fullyConnected(builder, 'fc1', builder.input('x', [8, 64]), 32), 16),
  ]);
  const updatesUs = (frozen: readonly string[]): number => {
    const training = attachLoss(freeze(graph, frozen), 'crossEntropy');
    const { tables } = tablesOf({ training, cluster: presetCluster('p100x2'), costs });
    return tables.nodeCosts.reduce((sum, [whole]) => sum + whole!, 0);
  };
  // A microsecond for each parameter, where nothing is split.
  t.deepEqual([updatesUs([]), updatesUs(['fc1.*']), updatesUs(['fc1.*', 'fc2.bias'])], [4, 2, 1]);
});

test('data that stays on its device costs nothing, and halves that change places what the wire takes', (t) => {
  const builder = new GraphBuilder();
  const hidden = fullyConnected(builder, 'fc', builder.input('x', [8, 64]), 32);
  const training = attachLoss(builder.build('small', [builder.op('relu', 'relu', [hidden])]), 'meanSquaredError');
  const problem = { training, cluster: presetCluster('p100x2'), costs: createRooflineCosts() };
  const { tables, units } = tablesOf(problem);
  const { costs } = tables.edges[0]!;
  const at = (unit: number, degrees: string): number => units[unit]!.choices.findIndex((each) => `${each}` === degrees);
  const cost = (fc: string, relu: string): number => costs[at(0, fc) * units[1]!.choices.length + at(1, relu)]!;
  t.is(cost('2,1,1', '2,1'), 0);
  t.is(cost('1,2,1', '1,2'), 0);
  t.is(cost('1,1,1', '1,1'), 0);
  // A quarter of 8 x 32 floats to each other at 20 GB/s and 2 us, twice with the gradient.
  t.true(Math.abs(cost('2,1,1', '1,2') - 2 * (2 + (8 * 32) / 20e3)) < 1e-9);
  // Half of them to the other device.
  t.true(Math.abs(cost('1,1,1', '2,1') - 2 * (2 + (8 * 32 * 4) / 2 / 20e3)) < 1e-9);
});

test('steps that share parameters are split alike', (t) => {
  const problem = problemOf('rnnlm', 64, 'p100x4', { steps: 3, group: 1, hidden: 64, embedding: 64, vocabulary: 100 });
  const { graph } = problem.training;
  const { configs } = optcnnStrategy(problem)!;
  t.deepEqual(validateStrategy(graph, 4, { configs }), []);
  const byLayer = Map.groupBy(graph.ops, ({ name }) => name.split('.')[0]!);
  t.is(byLayer.get('lstm1')?.length, 3);
  for (const ops of byLayer.values()) {
    if (ops[0]!.kind !== 'crossEntropy') t.is(new Set(ops.map(({ id }) => String(configs[id]!.degrees))).size, 1);
  }
});

test('a graph that does not reduce, and one that is too much work, have no OptCNN strategy', (t) => {
  t.is(optcnnStrategy(problemOf('nmt', 64, 'p100x4')), undefined);
  t.is(optcnnStrategy(problemOf('inceptionv3', 4096, 'p100x64')), undefined);
});

for (const [name, batch, cluster] of [
  ['lenet', 256, 'p100x4'],
  ['alexnet', 512, 'k80x8'],
  ['resnet50', 64, 'p100x4'],
  ['inceptionv3', 64, 'p100x2'],
] as const) {
  test(`on a CNN that reduces, what is found is never worse than OptCNN: ${name} on ${cluster}`, (t) => {
    const settings = { seconds: 3600, proposals: 20, seed: 1, beta: 20, chains: 1, start: ['data'] as const };
    const { best, baselines } = search(problemOf(name, batch, cluster), settings, { nowMs: () => 0 });
    t.true(best.prediction.iterationMs <= baselines['optcnn']!.iterationMs);
  });
}

import test from 'ava';
import * as fc from 'fast-check';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { freeze } from '../../soap/graph/freeze.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { convolution, fullyConnected } from '../../soap/models/layers.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { findOptimum } from '../../soap/search/optimum/find-optimum.ts';
import { PartialBound } from '../../soap/search/optimum/partial-bound.ts';
import { placementsOf } from '../../soap/search/optimum/placements.ts';
import type { Layer, SpaceOptions } from '../../soap/search/optimum/space.ts';
import { layersOf, spaceSize } from '../../soap/search/optimum/space.ts';
import { smallCaseOptimum } from '../../soap/search/optimum/small-case.ts';
import { Network } from '../../soap/simulator/delta/network.ts';
import type { OpConfig, Strategy } from '../../soap/strategy/strategy.ts';
import { validateStrategy } from '../../soap/strategy/validate.ts';

function problemOf(graph: Graph, cluster: string): PlanningProblem {
  return {
    training: attachLoss(graph, 'crossEntropy'),
    cluster: presetCluster(cluster),
    costs: createRooflineCosts(),
  };
}

function twoLayers(): Graph {
  const builder = new GraphBuilder();
  const x = builder.input('x', [8, 64]);
  const hidden = builder.op('relu', 'relu', [fullyConnected(builder, 'fc1', x, 512)]);
  return builder.build('two layers', [fullyConnected(builder, 'fc2', hidden, 6)]);
}

/** Two ways that meet again. */
function residual(): Graph {
  const builder = new GraphBuilder();
  const x = convolution(builder, 'conv1', builder.input('x', [2, 1, 5, 5]), { channels: 2, kernel: 3, padding: 1 });
  const y = convolution(builder, 'conv2', x, { channels: 2, kernel: 3, padding: 1 });
  const flat = builder.op('flatten', 'flatten', [builder.op('add', 'add', [x, y])]);
  return builder.build('residual', [fullyConnected(builder, 'fc', flat, 2)]);
}

/** Ways that are joined, cut at the same place, and joined again: split there, a part waits for some of them. */
function crossed(): Graph {
  const builder = new GraphBuilder();
  const half = (name: string, x: number, start: number): number =>
    builder.op('slice', name, [x], { starts: [start], ends: [start + 256], axes: [1], steps: [1] });
  const start = fullyConnected(builder, 'start', builder.input('x', [512, 256]), 256);
  const first = fullyConnected(builder, 'first1', fullyConnected(builder, 'first0', start, 256), 256);
  const wide = builder.op('concat', 'wide', [start, first], { axis: 1 });
  const second = fullyConnected(
    builder,
    'second1',
    fullyConnected(builder, 'second0', half('left', wide, 0), 256),
    256,
  );
  const joined = builder.op('concat', 'joined', [second, half('right', wide, 256)], { axis: 1 });
  return builder.build('crossed', [fullyConnected(builder, 'last', joined, 16)]);
}

function strategyOf(layers: readonly Layer[], choices: readonly number[]): Strategy {
  const configs: OpConfig[] = [];
  layers.forEach(({ ops, choices: all }, layer) => ops.forEach((op, i) => (configs[op] = all[choices[layer]!]![i]!)));
  return { configs };
}

function layersIn({ training, cluster, ...rest }: PlanningProblem, options: SpaceOptions): Layer[] {
  return layersOf(training.graph, new Network({ training, cluster, ...rest }, 'last'), cluster.devices.length, options);
}

/** The least time of all strategies of a space that fit into memory. */
function bruteForce(problem: PlanningProblem, options: SpaceOptions): number {
  const layers = layersIn(problem, options);
  const all = layers.reduce<number[][]>(
    (rows, { choices }) => rows.flatMap((row) => choices.map((_, choice) => [...row, choice])),
    [[]],
  );
  const predictions = all.map((choices) => evaluate(problem, strategyOf(layers, choices)));
  return Math.min(...predictions.filter(({ feasible }) => feasible).map(({ iterationMs }) => iterationMs));
}

/** Devices with less memory. */
function cramped(problem: PlanningProblem, memoryBytes: number): PlanningProblem {
  const { description } = problem.cluster;
  const devices = description.devices.map((device) => ({ ...device, memoryBytes }));
  return { ...problem, cluster: createCluster({ ...description, devices }) };
}

const SMALL: readonly (readonly [name: string, problem: PlanningProblem, options: SpaceOptions])[] = [
  [
    'two layers, any placement',
    problemOf(twoLayers(), 'p100x2'),
    { devices: 'orders', partsPerDevice: 1, followers: true },
  ],
  [
    'two layers, blocks, all ops free',
    problemOf(twoLayers(), 'p100x2'),
    { devices: 'blocks', partsPerDevice: 1, followers: false },
  ],
  [
    'two layers on four devices',
    problemOf(twoLayers(), 'k80x4'),
    { devices: 'blocks', partsPerDevice: 1, followers: true },
  ],
  ['a residual block', problemOf(residual(), 'p100x2'), { devices: 'blocks', partsPerDevice: 1, followers: true }],
  [
    'the first layer frozen',
    problemOf(freeze(twoLayers(), ['fc1.*']), 'p100x2'),
    { devices: 'orders', partsPerDevice: 1, followers: true },
  ],
  [
    'the last layer frozen',
    problemOf(freeze(twoLayers(), ['fc2.*']), 'p100x2'),
    { devices: 'blocks', partsPerDevice: 1, followers: true },
  ],
  [
    'little memory',
    cramped(problemOf(twoLayers(), 'p100x2'), 3e5),
    { devices: 'orders', partsPerDevice: 1, followers: true },
  ],
];

for (const [name, problem, options] of SMALL) {
  test(`branch and bound finds what trying every strategy finds: ${name}`, (t) => {
    const { best, strategies, simulations } = findOptimum(problem, options);
    t.is(best?.prediction.iterationMs, bruteForce(problem, options));
    t.true(simulations < strategies, `${simulations} of ${strategies} were simulated`);
    t.deepEqual(validateStrategy(problem.training.graph, problem.cluster.devices.length, best!.strategy), []);
  });
}

test('nothing is better than the best, and nothing is found where nothing fits', (t) => {
  const [, problem, options] = SMALL[0]!;
  const { best } = findOptimum(problem, options);
  t.is(findOptimum(problem, options, { belowMs: best!.prediction.iterationMs }).best, undefined);
  t.is(findOptimum(cramped(problem, 1e3), options).best, undefined);
});

for (const [name, problem, options] of [
  ...SMALL,
  ['ways that cross', problemOf(crossed(), 'p100x2'), { devices: 'orders', partsPerDevice: 1, followers: false }],
  ['LeNet', problemOf(builtinGraph('lenet', 64), 'p100x4'), { devices: 'orders', partsPerDevice: 1, followers: false }],
  [
    'LeNet on shared switches',
    problemOf(builtinGraph('lenet', 64), 'k80x4'),
    { devices: 'sets', partsPerDevice: 1, followers: true },
  ],
  [
    'ways that cross, the middle frozen',
    problemOf(freeze(crossed(), ['start.*', 'second*']), 'p100x4'),
    { devices: 'sets', partsPerDevice: 1, followers: true },
  ],
  [
    'RNNLM step by step',
    problemOf(builtinGraph('rnnlm', 16, { steps: 2, group: 1, hidden: 64, embedding: 64, vocabulary: 100 }), 'p100x4'),
    { devices: 'sets', partsPerDevice: 1, followers: false },
  ],
] as const) {
  test(`no bound exceeds what is simulated, and bounds grow with what is decided: ${name}`, (t) => {
    const { training, cluster } = problem;
    const network = new Network(problem, 'last');
    const layers = layersOf(training.graph, network, cluster.devices.length, options);
    const bound = new PartialBound(network, cluster, layers);
    const anyChoices = fc.tuple(...layers.map(({ choices }) => fc.nat({ max: choices.length - 1 })));
    fc.assert(
      fc.property(anyChoices, (choices) => {
        const makespanUs = evaluate(problem, strategyOf(layers, choices)).iterationMs * 1000;
        let beforeUs = 0;
        for (let decided = 1; decided <= layers.length; decided++) {
          const boundUs = bound.boundUs(Int32Array.from(choices), decided);
          t.true(boundUs >= beforeUs * (1 - 1e-9), `${boundUs} with ${decided} decided, ${beforeUs} before`);
          beforeUs = boundUs;
        }
        t.true(beforeUs <= makespanUs * (1 + 1e-9), `${beforeUs} exceeds ${makespanUs}`);
      }),
      { numRuns: name === 'ways that cross' ? 400 : 40 },
    );
  });
}

test('blocks start at multiples of their size, sets ascend, orders are all', (t) => {
  t.deepEqual(placementsOf([2, 1], 4, 'blocks', 1), [
    [0, 1],
    [2, 3],
  ]);
  t.deepEqual(placementsOf([3], 4, 'blocks', 1), [[0, 1, 2]]);
  t.is(placementsOf([2], 4, 'sets', 1).length, 6);
  t.is(placementsOf([2, 2], 4, 'orders', 1).length, 24);
  t.true(placementsOf([3], 5, 'sets', 1).every(([a, b, c]) => a! < b! && b! < c!));
});

test('ops without parameters follow what they read, and splits that they cannot follow are left out', (t) => {
  const problem = problemOf(builtinGraph('lenet', 64), 'p100x4');
  const layers = layersIn(problem, { devices: 'blocks', partsPerDevice: 1, followers: true });
  const names = layers.map(({ ops }) => ops.map((op) => problem.training.graph.ops[op]!.name).join(' '));
  t.deepEqual(names, ['conv1 relu1 pool1', 'conv2 relu2 pool2 flatten', 'fc1 relu3', 'fc2 relu4', 'fc3 crossEntropy']);
  // A height of 28 can be cut into four, but the 14 of what is pooled cannot.
  t.false(layers[0]!.choices.some(([conv1]) => conv1!.degrees[2] === 4));
  t.true(spaceSize(layers) > 1e6);
});

test('a case is small where its bounds are soon worked out, judged without listing its strategies', (t) => {
  t.not(smallCaseOptimum(problemOf(builtinGraph('lenet', 256), 'p100x2'), Infinity), undefined);
  t.is(smallCaseOptimum(problemOf(builtinGraph('lenet', 256), 'p100x2'), 1e-3), undefined);
  t.is(smallCaseOptimum(problemOf(builtinGraph('lenet', 256), 'k80x64'), Infinity), undefined);
  t.is(smallCaseOptimum(problemOf(builtinGraph('alexnet', 256), 'p100x4'), Infinity), undefined);
});

test('an exact search that is given up says that nothing is proven', (t) => {
  const problem = problemOf(builtinGraph('lenet', 64), 'p100x4');
  const options = { devices: 'sets', partsPerDevice: 1, followers: true } as const;
  t.false(findOptimum(problem, options, { mostEffort: 100 }).proven);
});

import test from 'ava';
import * as fc from 'fast-check';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { explain } from '../../soap/explain/explanation.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { freeze } from '../../soap/graph/freeze.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { fullyConnected } from '../../soap/models/layers.ts';
import { createRandom } from '../../soap/random.ts';
import type { ConfigChange } from '../../soap/simulator/delta/proposal.ts';
import { DeltaSimulation } from '../../soap/simulator/delta/delta-simulation.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import { dataParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomConfig, randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import { deviceMemoryBytes } from '../../soap/tasks/memory.ts';
import { halfFrozen } from '../support/freezing.ts';
import { FULL_RUN } from '../support/full-run.ts';

const costs = createRooflineCosts();

const MODELS: Readonly<Record<string, TrainingGraph>> = {
  lenet: attachLoss(builtinGraph('lenet', 16), 'crossEntropy'),
  alexnet: attachLoss(builtinGraph('alexnet', 64), 'crossEntropy'),
  joined: joinedGraph(16),
  'lenet, its first half frozen': attachLoss(halfFrozen(builtinGraph('lenet', 16)), 'crossEntropy'),
  'joined, its middle frozen': frozenMiddle(joinedGraph(16)),
};

/**
 * Parts of ops that want no gradient of what they read, or read nothing but the model's input, and outputs of which some parts are read
 * by nobody.
 * @param depth layers before the input is read again
 */
function joinedGraph(batch: number, depth: number = 1): TrainingGraph {
  const builder = new GraphBuilder();
  const features = builder.input('features', [batch, 32]);
  let first = features;
  for (let i = 0; i < depth; i++)
    first = builder.op('relu', `relu1.${i}`, [fullyConnected(builder, `fc1.${i}`, first, 32)]);
  const wide = builder.op('concat', 'wide', [features, first], { axis: 1 });
  const second = fullyConnected(builder, 'fc2', wide, 64);
  const both = builder.op('concat', 'both', [second, wide], { axis: 1 });
  const last = builder.op('slice', 'last', [both], { starts: [48], ends: [128], axes: [1], steps: [1] });
  return attachLoss(builder.build('joined', [fullyConnected(builder, 'fc3', last, 16)]), 'crossEntropy');
}

/** A gradient goes through what is frozen. */
function frozenMiddle(training: TrainingGraph): TrainingGraph {
  return { ...training, graph: freeze(training.graph, ['fc2.*']) };
}

/** NVLink meshes, shared PCIe switches and a shared network, shared memory, devices that do nothing else while they sum. */
const CLUSTERS = [
  ...['p100x8', 'k80x8', 'localx3'].map(presetCluster),
  createCluster({
    ...presetCluster('p100x8').description,
    name: 'p100x8, sums alone',
    sums: { holdDevices: true, fetchLater: true },
  }),
];

/** When each task ends by key, as the rebuild-everything twin has it. */
function rebuilt(training: TrainingGraph, cluster: Cluster, strategy: Strategy): Map<number, number> {
  const graph = buildTaskGraph(training, strategy, cluster, costs);
  const { endUs } = simulate(graph);
  return new Map(graph.tasks.map(({ key, id }) => [key, endUs[id]!]));
}

function kept(simulation: DeltaSimulation): Map<number, number> {
  const { tasks } = simulation.network;
  return new Map(Array.from(simulation.order, (task) => [tasks.key[task]!, tasks.endUs[task]!]));
}

/** What differs between the kept timeline and one built anew. */
function difference(simulation: DeltaSimulation, training: TrainingGraph, cluster: Cluster): string | undefined {
  const expected = rebuilt(training, cluster, simulation.strategy);
  const actual = kept(simulation);
  if (actual.size !== expected.size) return `${actual.size} tasks; expected ${expected.size}`;
  for (const [key, endUs] of expected) {
    if (actual.get(key) !== endUs) return `task ${key} ends at ${actual.get(key)}; expected ${endUs}`;
  }
  const memory = deviceMemoryBytes(layOut(training, simulation.strategy), cluster.devices.length);
  const used = simulation.memoryBytes.join();
  if (used !== memory.join()) return `memory ${used}; expected ${memory.join()}`;
  return undefined;
}

for (const [name, training] of Object.entries(MODELS)) {
  for (const cluster of CLUSTERS) {
    test(`a walk of ${name} on ${cluster.name} has the timeline of each strategy built anew`, (t) => {
      const { graph } = training;
      fc.assert(
        fc.property(fc.nat(), fc.boolean(), (seed, atRandom) => {
          const random = createRandom(seed);
          const start = atRandom ? randomStrategy(graph, cluster, random) : dataParallel(graph, cluster);
          const simulation = new DeltaSimulation({ training, cluster, costs }, start);
          t.is(difference(simulation, training, cluster), undefined);
          for (let move = 0; move < 24; move++) {
            const ops = new Set(Array.from({ length: 1 + random.integer(2) }, () => random.integer(graph.ops.length)));
            const changes = Array.from(ops, (op): ConfigChange => {
              return { op, config: randomConfig(graph, graph.ops[op]!, cluster, random) };
            });
            const before = simulation.makespanUs;
            const limitUs = random.integer(2) === 0 ? Infinity : before * (0.9 + 0.4 * random.next());
            const { makespanUs } = simulation.propose(changes, { makespanUs: limitUs });
            if (makespanUs === Infinity || random.integer(3) === 0) {
              simulation.reject();
              t.is(simulation.makespanUs, before);
              if (makespanUs !== Infinity) continue;
              // What was cut short would indeed have been beyond the limit.
              const whole = simulation.propose(changes).makespanUs;
              t.true(!(whole <= limitUs), `${whole} is within ${limitUs}`);
              simulation.reject();
            } else {
              simulation.accept();
              if (!Number.isNaN(makespanUs)) t.is(simulation.makespanUs, makespanUs);
            }
            if (move % 6 === 5) t.is(difference(simulation, training, cluster), undefined);
          }
          t.is(difference(simulation, training, cluster), undefined);
        }),
        { numRuns: FULL_RUN ? 12 : 4 },
      );
    });
  }
}

test('a part that waits for nothing, far into a model, begins with it, comes and goes', (t) => {
  const training = joinedGraph(32, 12);
  const cluster = presetCluster('p100x16');
  const start = dataParallel(training.graph, cluster);
  const wide = training.graph.ops.findIndex(({ name }) => name === 'wide');
  const devices = cluster.devices.map(({ id }) => id);
  const cut = { degrees: [8, 2], devices };
  for (const config of [cut, { ...cut, devices: devices.toReversed() }]) {
    const simulation = new DeltaSimulation({ training, cluster, costs }, start);
    for (const changed of [config, start.configs[wide]!]) {
      simulation.propose([{ op: wide, config: changed }]);
      simulation.reject();
      t.is(difference(simulation, training, cluster), undefined);
      simulation.propose([{ op: wide, config: changed }]);
      simulation.accept();
      t.is(difference(simulation, training, cluster), undefined);
    }
  }
});

/** A way that is split off, and one that is joined with it, then split off again and goes on. */
function crossedGraph(batch: number): TrainingGraph {
  const builder = new GraphBuilder();
  const chain = (name: string, x: number): number =>
    ['0', '1', '2'].reduce((from, i) => fullyConnected(builder, `${name}${i}`, from, 256), x);
  const half = (name: string, x: number, start: number): number =>
    builder.op('slice', name, [x], { starts: [start], ends: [start + 256], axes: [1], steps: [1] });
  const start = fullyConnected(builder, 'start', builder.input('features', [batch, 256]), 256);
  const wide = builder.op('concat', 'wide', [start, chain('first', start)], { axis: 1 });
  const second = chain('second', half('left', wide, 0));
  const joined = builder.op('concat', 'joined', [second, half('right', wide, 256)], { axis: 1 });
  return attachLoss(builder.build('crossed', [fullyConnected(builder, 'last', joined, 16)]), 'crossEntropy');
}

test('parts of an op that wait for different ones are no way from each of these to all that follows', (t) => {
  const training = crossedGraph(512);
  const { ops } = training.graph;
  const configs = singleDevice(training.graph).configs.map((config, id) => {
    const { name } = ops[id]!;
    if (name === 'wide') return { degrees: [1, 2], devices: [1, 0] };
    return /^(left|second)/.test(name) ? { ...config, devices: [1] } : config;
  });
  const simulation = new DeltaSimulation({ training, cluster: presetCluster('p100x2'), costs }, { configs });
  const { makespanUs } = simulation;
  for (const [op, config] of configs.entries()) {
    t.is(simulation.propose([{ op, config }], { makespanUs }).makespanUs, makespanUs, ops[op]!.name);
    simulation.accept();
  }
});

test('where gradients may be summed in some ways alone, both timelines and the explanation keep to them', (t) => {
  const training = MODELS['alexnet']!;
  const cluster = presetCluster('p100x8');
  const strategy = dataParallel(training.graph, cluster);
  const times = (['ring', 'owner', 'exchange'] as const).map((algorithm) => {
    const problem = { training, cluster, costs, collectives: [algorithm] };
    const graph = buildTaskGraph(training, strategy, cluster, costs, problem);
    const allowed = new Set([algorithm, 'owner']);
    t.true(graph.tasks.every((task) => task.kind !== 'collective' || allowed.has(task.algorithm)));
    const { makespanUs } = simulate(graph);
    t.is(new DeltaSimulation(problem, strategy).makespanUs, makespanUs);
    t.is(explain(problem, strategy).causes.timeline.makespanUs, makespanUs);
    return makespanUs;
  });
  t.is(new Set(times).size, times.length, 'the ways take different times');
});

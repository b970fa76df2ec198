import test from 'ava';
import * as fc from 'fast-check';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { fullyConnected } from '../../soap/models/layers.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { createRandom } from '../../soap/random.ts';
import { Moves } from '../../soap/search/moves.ts';
import { withDoubledParts, withHalvedParts } from '../../soap/search/recut.ts';
import { drawConfig } from '../../soap/search/prior.ts';
import type { Dimension } from '../../soap/ops/op.ts';
import type { OpConfig } from '../../soap/strategy/strategy.ts';
import { DeltaSimulation } from '../../soap/simulator/delta/delta-simulation.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import { validateStrategy } from '../../soap/strategy/validate.ts';

const training = attachLoss(builtinGraph('alexnet', 96), 'crossEntropy');
const { graph } = training;

test('drawn configurations are valid, and some use every device once', (t) => {
  for (const devices of [1, 3, 8, 12]) {
    let everyDevice = 0;
    for (let seed = 0; seed < 40; seed++) {
      const random = createRandom(seed);
      const configs = graph.ops.map((op) => drawConfig(opDimensions(graph, op), devices, random));
      t.deepEqual(validateStrategy(graph, devices, { configs }), []);
      everyDevice += configs.filter((config) => new Set(config.devices).size === devices).length;
    }
    t.true(everyDevice > 40);
  }
});

test('a walk by moves stays among valid strategies, and reaches every kind of split', (t) => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const cluster = presetCluster('p100x8');
      const random = createRandom(seed);
      const start = dataParallel(graph, cluster);
      const { network } = new DeltaSimulation({ training, cluster, costs: createRooflineCosts() }, start);
      const moves = new Moves(graph, network, 8);
      let { configs } = start;
      const split = new Set<string>();
      for (let step = 0; step < 300; step++) {
        for (const { op, config } of moves.draw(configs, random)) {
          configs = configs.with(op, config);
          opDimensions(graph, graph.ops[op]!).forEach(({ kind }, i) => config.degrees[i]! > 1 && split.add(kind));
        }
        t.deepEqual(validateStrategy(graph, 8, { configs }), []);
      }
      t.deepEqual([...split].sort(), ['attribute', 'parameter', 'reduction', 'sample']);
    }),
    { numRuns: 5 },
  );
});

test('no move cuts an op into more than eight parts a device, which a walk in which all ops are cut so often wants', (t) => {
  const cluster = presetCluster('p100x2');
  const many = attachLoss(builtinGraph('alexnet', 4096), 'crossEntropy');
  const start = dataParallel(many.graph, cluster);
  const costs = createRooflineCosts();
  const moves = new Moves(many.graph, new DeltaSimulation({ training: many, cluster, costs }, start).network, 2);
  let configs = start.configs;
  for (let i = 0; i < 3; i++) {
    configs = configs.map((config, op) => withHalvedParts(config, opDimensions(many.graph, many.graph.ops[op]!))!);
  }
  t.true(configs.every(({ devices }) => devices.length === 16));
  const random = createRandom(1);
  for (let step = 0; step < 3000; step++) {
    for (const { config } of moves.draw(configs, random)) t.true(config.devices.length <= 16);
  }
});

test('parts halved along the samples stay where they are, and doubling them gives back what was', (t) => {
  let recut = 0;
  fc.assert(
    fc.property(fc.nat(), fc.nat(graph.ops.length - 1), (seed, op) => {
      const dimensions = opDimensions(graph, graph.ops[op]!);
      const config = drawConfig(dimensions, 6, createRandom(seed));
      const halved = withHalvedParts(config, dimensions);
      if (halved === undefined) {
        const { size } = dimensions.find(({ kind }) => kind === 'sample')!;
        t.not(size % (2 * config.degrees[0]!), 0, 'samples come first');
        return;
      }
      recut += 1;
      t.is(halved.degrees[0], 2 * config.degrees[0]!);
      t.deepEqual(sharesOf(halved, dimensions), sharesOf(config, dimensions));
      t.deepEqual(withDoubledParts(halved, dimensions), config);
    }),
    { numRuns: 200 },
  );
  t.true(recut > 50);
});

test('parts are doubled only where two are on one device', (t) => {
  const dimensions = opDimensions(graph, graph.ops[0]!);
  const degrees = dimensions.map((_, i) => (i === 0 ? 2 : 1));
  t.is(withDoubledParts({ degrees, devices: [0, 1] }, dimensions), undefined);
  t.deepEqual(withDoubledParts({ degrees, devices: [1, 1] }, dimensions), {
    degrees: degrees.with(0, 1),
    devices: [1],
  });
});

const FOUR = presetCluster('p100x4');
const builder = new GraphBuilder();
const layer = fullyConnected(builder, 'fc', builder.input('x', [16, 8]), 8);
/** Two ops: a layer and its loss. */
const twoOps = attachLoss(builder.build('two', [layer]), 'crossEntropy');
const start = dataParallel(twoOps.graph, FOUR);
const layerDimensions = opDimensions(twoOps.graph, twoOps.graph.ops[0]!);

/** The layer cut by samples alone, unevenly on four devices: seldom drawn anew, and never from the loss, which lies evenly. */
const UNEVEN = [
  [0, 0, 0, 1],
  [2, 2, 1, 1, 0, 0, 0, 0],
].map((devices): OpConfig => ({ degrees: start.configs[0]!.degrees.with(0, devices.length), devices }));

/** Whether all devices that have any of the layer have equally much of it. */
function isEven(config: OpConfig): boolean {
  return new Set(sharesOf(config, layerDimensions).values()).size === 1;
}

/** How often each configuration of the layer is proposed in place of one, with the loss as it is; by their JSON. */
function proposalsFrom(config: OpConfig, seed: number): Map<string, number> {
  const { network } = new DeltaSimulation({ training: twoOps, cluster: FOUR, costs: createRooflineCosts() }, start);
  const moves = new Moves(twoOps.graph, network, FOUR.devices.length);
  const random = createRandom(seed);
  const counts = new Map<string, number>();
  for (let i = 0; i < 40_000; i++) {
    const [change, ...others] = moves.draw([config, start.configs[1]!], random);
    if (change?.op !== 0 || others.length > 0) continue;
    const key = JSON.stringify(change.config);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** Fewer proposals than these say nothing; counts of equally many draws differ by fewer standard deviations. */
const [OFTEN, MOST_DEVIATIONS] = [40, 4.5];

function areAlike(a: number, b: number): boolean {
  return Math.abs(a - b) <= MOST_DEVIATIONS * Math.sqrt(a + b);
}

test('what changes an op by what it was is proposed as often as its undoing', (t) => {
  let pairs = 0;
  for (const from of UNEVEN) {
    for (const [key, there] of proposalsFrom(from, 1)) {
      const to: OpConfig = JSON.parse(key);
      if (isEven(to) || there < OFTEN) continue;
      const back = proposalsFrom(to, 2).get(JSON.stringify(from)) ?? 0;
      t.true(areAlike(there, back), `${from.devices} to ${key}: ${there} times, and back ${back} times`);
      pairs += 1;
    }
  }
  t.true(pairs >= 15, `${pairs} pairs`);
});

test('what an op is drawn anew as does not depend on what it was', (t) => {
  const [one, other] = UNEVEN.map((from, i) => proposalsFrom(from, 3 + i));
  let configs = 0;
  for (const [key, count] of one!) {
    const to: OpConfig = JSON.parse(key);
    if (!isEven(to) || count < OFTEN) continue;
    t.true(areAlike(count, other!.get(key) ?? 0), `${key}: ${count} times, and ${other!.get(key)} times`);
    configs += 1;
  }
  t.true(configs >= 15, `${configs} configurations`);
});

/** How much of the op each device has. */
function sharesOf({ degrees, devices }: OpConfig, dimensions: readonly Dimension[]): Map<number, number> {
  const share = dimensions.reduce((rest, _, i) => rest / degrees[i]!, 1);
  const shares = new Map<number, number>();
  for (const device of devices) shares.set(device, (shares.get(device) ?? 0) + share);
  return new Map([...shares].map(([device, sum]) => [device, Math.round(sum * 1e9)]));
}

import test from 'ava';
import * as fc from 'fast-check';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { createRandom } from '../../soap/random.ts';
import { partRanges, partsOf } from '../../soap/strategy/partition.ts';
import { randomConfig, randomStrategy } from '../../soap/strategy/random.ts';
import { intersect, regionVolume } from '../../soap/region/region.ts';
import { validateStrategy } from '../../soap/strategy/validate.ts';
import { opDimensions } from '../../soap/ops/index.ts';

const { graph } = attachLoss(lenet(12), 'crossEntropy');
const clusters = ['p100x1', 'localx3', 'p100x4', 'k80x16', 'localx7'].map((name) => presetCluster(name));

test('random strategies are valid, with at most as many parts as devices', (t) => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(...clusters), (seed, cluster) => {
      const strategy = randomStrategy(graph, cluster, createRandom(seed));
      t.deepEqual(validateStrategy(graph, cluster.devices.length, strategy), []);
      for (const config of strategy.configs) t.true(partsOf(config.degrees) <= cluster.devices.length);
    }),
    { numRuns: 60 },
  );
});

test('the parts of a random configuration tile the dimensions', (t) => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(...clusters), fc.constantFrom(...graph.ops), (seed, cluster, op) => {
      const config = randomConfig(graph, op, cluster, createRandom(seed));
      const dimensions = opDimensions(graph, op);
      const parts = partRanges(dimensions, config.degrees);
      t.is(parts.length, config.devices.length);
      t.is(
        parts.reduce((sum, ranges) => sum + regionVolume(ranges), 0),
        dimensions.reduce((product, { size }) => product * size, 1),
      );
      parts.forEach((a, i) => {
        for (const b of parts.slice(i + 1)) t.is(intersect(a, b), undefined);
      });
    }),
    { numRuns: 100 },
  );
});

test('an equal seed draws an equal strategy', (t) => {
  const draw = (seed: number) => randomStrategy(graph, clusters[2]!, createRandom(seed));
  t.deepEqual(draw(3), draw(3));
  t.notDeepEqual(draw(3), draw(4));
});

test('degrees that are no powers of two, strided devices and repeated devices are all drawn', (t) => {
  const random = createRandom(1);
  const conv = graph.ops[0]!;
  const configs = Array.from({ length: 2000 }, () => randomConfig(graph, conv, presetCluster('localx7'), random));
  t.true(configs.some(({ degrees }) => degrees.includes(3)));
  t.true(configs.some(({ devices }) => devices.length > 2 && new Set(devices).size < devices.length));
  t.true(
    configs.some(({ devices }) => devices.join() === '1,4'),
    'two parts, three devices apart',
  );
});

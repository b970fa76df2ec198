import test from 'ava';
import { lenet } from '../../soap/models/lenet.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import { validateStrategy } from '../../soap/strategy/validate.ts';

const graph = lenet(8);

test('all problems of a strategy are listed with the names of the ops', (t) => {
  const { configs } = singleDevice(graph);
  const broken = configs
    .with(0, { degrees: [3, 1, 1, 1, 1], devices: [0, 1, 2] })
    .with(1, { degrees: [1], devices: [0] })
    .with(2, { degrees: [2, 1, 1, 1], devices: [0] })
    .with(3, { degrees: [2, 1, 1, 1, 1], devices: [0, 4] })
    .with(4, { degrees: [1, 1, 1, 0.5], devices: [Number.NaN] });
  t.deepEqual(validateStrategy(graph, 4, { configs: broken }), [
    "op 'conv1': degree 3 of 'sample'; expected a divisor of 8",
    "op 'relu1': 1 degrees; expected 4: sample, channel, height, width",
    "op 'pool1': 1 devices; expected 2, one for each part",
    "op 'conv2': device 4; the cluster has 0 to 3",
    "op 'relu2': degree 0.5 of 'width'; expected a divisor of 10",
    "op 'relu2': 1 devices; expected 0.5, one for each part",
    "op 'relu2': device NaN; the cluster has 0 to 3",
  ]);
});

test('an op cut into more parts than a task graph can tell apart is refused', (t) => {
  const wide = lenet(16384);
  const { configs } = singleDevice(wide);
  const config = { degrees: [16384, 1, 1, 1, 1], devices: Array.from({ length: 16384 }, () => 0) };
  t.deepEqual(validateStrategy(wide, 4, { configs: configs.with(0, config) }), [
    "op 'conv1': 16384 parts; expected at most 8192",
  ]);
});

test('a strategy for another number of ops is refused', (t) => {
  t.deepEqual(validateStrategy(graph, 4, { configs: [] }), [
    'the strategy has 0 configurations; expected one for each of 12 ops',
  ]);
});

import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/graph/loss.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { dataParallel, expertStrategy, modelParallel, singleDevice } from '../../soap/strategy/baselines/index.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { validateStrategy } from '../../soap/strategy/validate.ts';

const { graph } = attachLoss(lenet(12), 'crossEntropy');

/** Op name -> the dimensions it is cut along and its devices. */
function shown(graph: Graph, { configs }: Strategy): Record<string, string> {
  const entries = graph.ops.map((op) => {
    const { degrees, devices } = configs[op.id]!;
    const cuts = opDimensions(graph, op).flatMap(({ name }, i) => (degrees[i] === 1 ? [] : [`${name} ${degrees[i]}`]));
    return [op.name, `${cuts.join(' ')} on ${devices.join()}`.trim()];
  });
  return Object.fromEntries(entries);
}

test('every baseline is valid on every cluster', (t) => {
  for (const name of ['p100x1', 'localx3', 'p100x4', 'k80x16']) {
    const cluster = presetCluster(name);
    for (const strategy of [
      dataParallel(graph, cluster),
      modelParallel(graph, cluster),
      expertStrategy(graph, cluster),
      singleDevice(graph),
    ]) {
      t.deepEqual(validateStrategy(graph, cluster.devices.length, strategy), []);
    }
  }
});

test('data parallelism splits every op by sample over all devices, or as many as divide the batch', (t) => {
  const four = Object.values(shown(graph, dataParallel(graph, presetCluster('p100x4'))));
  t.deepEqual([...new Set(four)], ['sample 4 on 0,1,2,3']);
  const eight = Object.values(shown(graph, dataParallel(graph, presetCluster('p100x8'))));
  t.deepEqual([...new Set(eight)], ['sample 6 on 0,1,2,3,4,5'], 'a batch of 12');
});

test('model parallelism splits parameters, and ops without parameters stay where their data is', (t) => {
  t.deepEqual(shown(graph, modelParallel(graph, presetCluster('localx2'))), {
    conv1: 'channel 2 on 0,1',
    relu1: 'channel 2 on 0,1',
    pool1: 'channel 2 on 0,1',
    conv2: 'channel 2 on 0,1',
    relu2: 'channel 2 on 0,1',
    pool2: 'channel 2 on 0,1',
    flatten: 'channel 2 on 0,1',
    fc1: 'channel 2 on 0,1',
    relu3: 'channel 2 on 0,1',
    fc2: 'channel 2 on 0,1',
    relu4: 'channel 2 on 0,1',
    fc3: 'channel 2 on 0,1',
    crossEntropy: 'on 0',
  });
});

test('the expert splits convolutions by sample and linear layers by parameter', (t) => {
  const strategy = shown(graph, expertStrategy(graph, presetCluster('p100x4')));
  t.is(strategy['conv2'], 'sample 4 on 0,1,2,3');
  t.is(strategy['flatten'], 'sample 4 on 0,1,2,3');
  t.is(strategy['fc1'], 'channel 4 on 0,1,2,3');
  t.is(strategy['relu3'], 'channel 4 on 0,1,2,3');
  t.is(strategy['fc3'], 'channel 2 on 0,1', 'ten classes');
  t.is(strategy['crossEntropy'], 'sample 4 on 0,1,2,3');
});

test('a single device has every op whole', (t) => {
  t.deepEqual([...new Set(Object.values(shown(graph, singleDevice(graph))))], ['on 0']);
});

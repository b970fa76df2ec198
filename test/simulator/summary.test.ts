import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import { deviceOrders, summarize } from '../../soap/simulator/summary.ts';
import { dataParallel, singleDevice } from '../../soap/baselines/index.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import { sampleSplitGraph, taskGraph } from '../support/task-graphs.ts';

test('the summary has the busiest device, the makespan in milliseconds and the bytes of transfers', (t) => {
  const graph = sampleSplitGraph(
    [
      { inputs: [], parts: 2, device: 0, workUs: 3000 },
      { inputs: [0], parts: 1, device: 1, workUs: 5000 },
    ],
    2,
    1000,
  );
  // 1.5, then 3; transfers of half a millisecond each; the second device from 3.5.
  t.deepEqual(summarize(graph, simulate(graph)), { iterationMs: 8.5, computeMs: 5, transferredBytes: 2 });
});

test('on one device nothing is transferred and the iteration is all compute', (t) => {
  const training = attachLoss(lenet(8), 'crossEntropy');
  const tasks = buildTaskGraph(training, singleDevice(training.graph), presetCluster('p100x4'), createRooflineCosts());
  const summary = summarize(tasks, simulate(tasks));
  t.is(summary.transferredBytes, 0);
  t.true(Math.abs(summary.iterationMs - summary.computeMs) < 1e-9);
});

test('data parallelism over two devices sends every parameter once each way', (t) => {
  const training = attachLoss(lenet(8), 'crossEntropy');
  const cluster = presetCluster('p100x2');
  const tasks = buildTaskGraph(training, dataParallel(training.graph, cluster), cluster, createRooflineCosts());
  const parameters = training.graph.tensors
    .filter(({ role }) => role === 'parameter')
    .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  t.is(parameters, 61706, "LeNet's parameters");
  t.is(summarize(tasks, simulate(tasks)).transferredBytes, 2 * 4 * parameters);
});

test('the order of a device is that of its starts, keys breaking ties', (t) => {
  const task = (key: number, device: number, predecessors: readonly number[], durationUs = 1) => ({
    key,
    durationUs,
    resources: [device],
    predecessors,
  });
  const graph = taskGraph([task(5, 0, []), task(3, 0, []), task(4, 1, []), task(1, 0, [2]), task(2, 1, [0], 0)], 2);
  t.deepEqual(deviceOrders(graph, simulate(graph)), [
    [1, 0, 3],
    [2, 4],
  ]);
});

test('the orders of a real iteration have every compute and update task once, and respect the data flow', (t) => {
  const training = attachLoss(lenet(8), 'crossEntropy');
  const cluster = presetCluster('k80x4');
  const tasks = buildTaskGraph(training, dataParallel(training.graph, cluster), cluster, createRooflineCosts());
  const orders = deviceOrders(tasks, simulate(tasks));
  const own = tasks.tasks.filter(({ kind }) => kind !== 'transfer' && kind !== 'collective');
  t.deepEqual(
    orders.flat().sort((a, b) => a - b),
    own.map(({ id }) => id),
  );
  for (const order of orders) {
    const positions = new Map(order.map((id, i) => [id, i]));
    for (const id of order) {
      for (const other of tasks.tasks[id]!.predecessors) {
        if (positions.has(other)) t.true(positions.get(other)! < positions.get(id)!);
      }
    }
  }
});

import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { TaskWork } from '../../soap/cost/task-work.ts';

const [p100] = presetCluster('p100x1').devices;
const work = (flops: number, memoryBytes: number): TaskWork => ({
  signature: 'any',
  direction: 'forward',
  flops,
  memoryBytes,
});
const costs = createRooflineCosts();

test('a task without work takes the fixed cost of a task', (t) => {
  t.is(costs.durationUs(work(0, 0), p100!), 10);
});

test('arithmetic runs at six tenths of peak', (t) => {
  t.true(Math.abs(costs.durationUs(work(10.6e12 * 0.6, 0), p100!) - (1e6 + 10)) < 1e-6);
});

test('memory traffic runs at eight tenths of peak', (t) => {
  t.true(Math.abs(costs.durationUs(work(0, 732e9 * 0.8), p100!) - (1e6 + 10)) < 1e-6);
});

test('of arithmetic and memory traffic the slower counts, not the sum', (t) => {
  const [arithmetic, traffic] = [costs.durationUs(work(1e9, 0), p100!), costs.durationUs(work(0, 1e9), p100!)];
  t.is(costs.durationUs(work(1e9, 1e9), p100!), Math.max(arithmetic, traffic));
});

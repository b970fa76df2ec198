import { readFile } from 'node:fs/promises';
import test from 'ava';
import { pathClasses } from '../../runtime/metrics/path-classes.ts';
import { RUNTIME_METRICS } from '../../runtime/metrics/metric-names.ts';
import { RuntimeMetrics } from '../../runtime/metrics/metrics.ts';
import { planWork, predictedTimes } from '../../runtime/program/planned-work.ts';
import type { StepEvent } from '../../runtime/device/events.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { dataParallel } from '../../soap/baselines/data-parallel.ts';
import { lenetPlan } from '../support/lenet-plan.ts';

function stepEvent(step: number, loss: number | undefined, changes: Partial<StepEvent> = {}): StepEvent {
  const times = { computeSeconds: step + 1, waitSeconds: 0.5 * (step + 1), collectiveSeconds: 0.25 * (step + 1) };
  return {
    type: 'step',
    step,
    loss,
    iterationSeconds: 2,
    doneMs: 2000 * (step + 1),
    ...times,
    traffic: [],
    awaited: [],
    ...changes,
  };
}

/** The samples of a registry without comments and without the labels of the job. */
async function samples({ registry }: RuntimeMetrics): Promise<string[]> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('soapstone_'));
  return lines.map((line) => line.replace(/,?job_name="lenet"/, '').replace('{}', ''));
}

const count = (lines: readonly string[], name: string): number =>
  lines.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `)).length;

test('a process tells of its devices, that of the first one also of the job and the plan', async (t) => {
  const plan = lenetPlan('p100x4', 8);
  const [first, second] = [
    [0, 1],
    [2, 3],
  ].map((devices) => new RuntimeMetrics({ job: 'lenet', batchSize: 8, plan, devices }));
  const predicted = { computeSeconds: 0.5, collectiveSeconds: 0.125 };
  const traffic = [[2, { sentBytes: 100, receivedBytes: 50, heldBytes: 0 }]] as const;
  first?.observe(0, { type: 'ready', steps: 10, firstStep: 4, provider: 'cpu', predicted });
  first?.observe(0, stepEvent(4, 1.5, { traffic, awaited: [[2, 0.75]] }));
  second?.observe(2, { type: 'ready', steps: 10, firstStep: 4, provider: 'cpu', predicted });
  second?.observe(2, stepEvent(4, undefined));
  const lines = await samples(first!);
  for (const line of [
    'soapstone_steps 10',
    'soapstone_step 5',
    'soapstone_loss 1.5',
    'soapstone_samples_per_second 4',
    'soapstone_device_collective_seconds_total{device="0"} 1.25',
    'soapstone_device_kernels_info{device="0",kernels="cpu"} 1',
    'soapstone_predicted_device_compute_seconds{device="0"} 0.5',
    'soapstone_sent_bytes_total{device="0",peer="2"} 100',
    'soapstone_peer_wait_seconds_total{device="0",peer="2"} 0.75',
    'soapstone_device_info{device="1",name="node0/gpu1",node="node0",type="P100"} 1',
    'soapstone_op_degree{op="conv1",dimension="sample"} 4',
    'soapstone_op_device_parts{op="conv1",device="3"} 1',
  ])
    t.true(lines.includes(line), `${line}\n${lines.filter((each) => !each.includes('bucket')).join('\n')}`);
  t.is(
    lines.filter((line) => /^soapstone_link_sent_bytes_total\{device="0",link="node [\d.]+ GB\/s"\} 100$/.test(line))
      .length,
    1,
  );
  const others = await samples(second!);
  for (const name of ['soapstone_step', 'soapstone_loss', 'soapstone_samples_per_second', 'soapstone_op_parts'])
    t.deepEqual([count(lines, name) > 0, count(others, name)], [true, 0], `${name} is told once`);
  t.is(count(others, 'soapstone_device_info'), 2);
});

test('the number of series is bounded, whatever the job', async (t) => {
  const plan = lenetPlan('p100x64', 64);
  const [devices] = [Array.from({ length: 64 }, (_, id) => id)];
  const big = new RuntimeMetrics({ job: 'lenet', batchSize: 64, plan, devices });
  const traffic = devices.map((peer) => [peer, { sentBytes: 1, receivedBytes: 1, heldBytes: 0 }] as const);
  for (const device of devices) big.observe(device, stepEvent(0, undefined, { traffic, awaited: [[1, 1]] }));
  const lines = await samples(big);
  t.is(count(lines, 'soapstone_sent_bytes_total'), 64);
  t.true(lines.includes('soapstone_sent_bytes_total{device="5",peer="all"} 64'));
  const ops = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`op${i}`, plan.ops['conv1']!]));
  const many = await samples(new RuntimeMetrics({ job: 'lenet', batchSize: 64, plan: { ...plan, ops }, devices }));
  t.is(count(many, 'soapstone_op_parts'), 200);
  t.is(count(many, 'soapstone_op_degree'), 200);
  t.true(count(many, 'soapstone_op_device_parts') <= 1000);
  t.true(count(many, 'soapstone_op_device_parts') > 900);
});

test('ways between devices are told apart by node and bandwidth', (t) => {
  const classOf = pathClasses(presetCluster('p100x8'));
  t.regex(classOf(0, 1), /^node [\d.]+ GB\/s$/);
  t.regex(classOf(0, 4), /^network [\d.]+ GB\/s$/);
  t.is(classOf(4, 0), classOf(0, 4));
});

test('what a device is predicted to do adds up to what the simulator has all do', (t) => {
  const cluster = presetCluster('p100x2');
  const training = attachLoss(builtinGraph('lenet', 8), 'crossEntropy');
  const strategy = dataParallel(training.graph, cluster);
  const work = planWork(training, strategy, cluster);
  const [first, second] = [0, 1].map((device) => predictedTimes(work, device, training.graph, {}));
  const seconds = (kinds: readonly string[]): number =>
    work.tasks.tasks.reduce((sum, { kind, durationUs }) => sum + (kinds.includes(kind) ? durationUs / 1e6 : 0), 0);
  const isNear = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * b;
  t.true(isNear(first!.computeSeconds + second!.computeSeconds, seconds(['forward', 'backward', 'update'])));
  t.true(isNear(first!.computeSeconds, second!.computeSeconds), 'data parallel devices do the same');
  t.true(isNear(first!.collectiveSeconds, seconds(['collective'])), 'each takes part in every sum');
});

test('docs/reference/metrics.md has every metric of the runtime', async (t) => {
  const page = await readFile(new URL('../../docs/reference/metrics.md', import.meta.url), 'utf8');
  for (const [name, help] of Object.entries(RUNTIME_METRICS))
    t.true(
      page.split('\n').some((row) => row.includes(`\`${name}\``) && row.includes(help)),
      name,
    );
});

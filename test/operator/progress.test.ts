import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { milliseconds } from '../../soap/measurement/blame.ts';
import * as fc from 'fast-check';
import { parseExposition } from '../../operator/progress/exposition.ts';
import { fetchReading } from '../../operator/progress/fetch-reading.ts';
import type { Target } from '../../operator/progress/follower.ts';
import { ProgressFollower } from '../../operator/progress/follower.ts';
import { measure } from '../../operator/progress/measure.ts';
import type { Reading } from '../../operator/progress/reading.ts';
import { readMetrics } from '../../operator/progress/reading.ts';
import { runningJobs } from '../../operator/progress/targets.ts';
import { RuntimeMetrics } from '../../runtime/metrics/metrics.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { findPlan } from '../../soap/search/find-plan.ts';
import { jobResource } from '../support/kubernetes.ts';

const cluster = presetCluster('p100x2');
const { plan: found } = findPlan(
  { training: attachLoss(lenet(16), 'crossEntropy'), cluster, costs: createRooflineCosts() },
  { seconds: 60, proposals: 1, seed: 1, beta: 20, chains: 1, start: ['data'] },
  { nowMs: () => 0 },
);
const plan = { ...found, prediction: { ...found.prediction, iterationMs: 9 } };

/** The metrics of a pod with devices 0 and 1 after so many steps of 10 ms, the first of which took a second. */
function metricsAfter(steps: number): RuntimeMetrics {
  const metrics = new RuntimeMetrics({ job: 'job', batchSize: 16, plan, devices: [0, 1] });
  const predicted = { computeSeconds: 0.005, collectiveSeconds: 0 };
  for (const device of [0, 1])
    metrics.observe(device, { type: 'ready', steps: 100, firstStep: 0, provider: 'cpu', predicted });
  for (let step = 0; step < steps; step++) {
    for (const device of [0, 1]) {
      const [iterationSeconds, done] = [step === 0 ? 1 : 0.01, step + 1];
      const times = {
        iterationSeconds,
        doneMs: 10 * done,
        computeSeconds: 0.006 * done,
        waitSeconds: 0.004 * done,
        collectiveSeconds: 0,
      };
      const loss = device === 0 ? 0.5 : undefined;
      metrics.observe(device, {
        type: 'step',
        step,
        loss,
        ...times,
        traffic: [],
        awaited: [[1 - device, 0.006 * done]],
        doneMs: 10 * done,
      });
    }
  }
  metrics.observe(0, { type: 'checkpoint', step: 20, path: 'x', seconds: 3 });
  return metrics;
}

const readingAfter = async (steps: number): Promise<Reading> =>
  readMetrics(await metricsAfter(steps).registry.metrics());

test("a runtime pod's metrics are read: steps, loss, checkpoint, and what each device did", async (t) => {
  const { run, devices } = await readingAfter(40);
  const { startupSeconds, ...rest } = run!;
  t.deepEqual(rest, {
    step: 40,
    steps: 100,
    loss: 0.5,
    predictedIterationSeconds: 0.009,
    checkpointStep: 20,
    checkpointSeconds: 3,
  });
  t.true(startupSeconds! >= 0);
  t.deepEqual(
    devices.map(({ device, kernels, iterations }) => [device, kernels, iterations]),
    [
      [0, 'cpu', 40],
      [1, 'cpu', 40],
    ],
  );
  t.true(Math.abs(devices[0]!.computeSeconds - 0.24) < 1e-9);
  t.is(devices[0]!.predictedComputeSeconds, 0.005);
  t.is(devices[0]!.awaited?.peer, 1);
  // It waited for 6 ms of a step, but for 4 with nothing else to do.
  t.true(Math.abs(devices[0]!.awaited!.seconds - 0.16) < 1e-9);
});

test('an iteration is measured between two readings, never with the first step in it', async (t) => {
  const [none, first, tenth, last] = await Promise.all([0, 1, 10, 40].map(readingAfter));
  t.is(measure(0, none!, tenth!), undefined, 'the first step compiles');
  t.is(measure(0, first!, await readingAfter(5)), undefined, 'too few steps');
  const found = measure(2, tenth!, last!)!;
  t.true(Math.abs(found.iterationMs - 10) < 1e-6);
  t.deepEqual([found.attempt, found.step, found.steps, found.checkpointStep], [2, 40, 100, 20]);
  t.deepEqual(
    found.devices.map(({ device, kernels, computeMs }) => [device, kernels, Number(computeMs.toFixed(6))]),
    [
      [0, 'cpu', 6],
      [1, 'cpu', 6],
    ],
  );
});

test('whatever a pod sends, it is read without an error, and gives finite numbers or none', (t) => {
  const line = fc.oneof(
    fc.string(),
    fc.tuple(
      fc.constantFrom('soapstone_step', 'soapstone_steps', 'soapstone_iteration_seconds_count', 'x'),
      fc.constantFrom('', '{device="0"}', '{device="-1"}', '{device="x\\"}"}', '{'),
      fc.constantFrom('1', 'NaN', '+Inf', '-1', '', '1e999', '3 1700000000000'),
    ),
  );
  const text = fc
    .array(line)
    .map((lines) => lines.map((each) => (Array.isArray(each) ? `${each[0]}${each[1]} ${each[2]}` : each)).join('\n'));
  fc.assert(
    fc.property(text, (lines) => {
      const { run, devices } = readMetrics(lines);
      const { loss: _, ...ofRun }: Partial<NonNullable<typeof run>> = run ?? {};
      const numbers = [...Object.values(ofRun), ...devices.flatMap((each) => Object.values(each))];
      t.true(numbers.every((each) => each === undefined || Number.isFinite(each)));
    }),
  );
});

test('a loss that has diverged is read as it is, in whatever case it is written', (t) => {
  const lossOf = (text: string): number | undefined =>
    readMetrics(
      `soapstone_step 9\nsoapstone_steps 9\nsoapstone_iteration_seconds_count{device="0"} 9\nsoapstone_loss ${text}\n`,
    ).run?.loss;
  t.deepEqual(['Nan', 'NaN', '+Inf', '-Inf', '-0.5', 'none'].map(lossOf), [
    NaN,
    NaN,
    Infinity,
    -Infinity,
    -0.5,
    undefined,
  ]);
});

test('labels are unescaped, comments and time stamps passed over', (t) => {
  t.deepEqual(
    parseExposition('# HELP a b\na{b="x\\"y\\n",c="}"} 1.5 1700000000000\n\nd 2e3\ne_bucket{le="+Inf"} 3\nf x\n'),
    [
      { name: 'a', labels: { b: 'x"y\n', c: '}' }, value: 1.5 },
      { name: 'd', labels: {}, value: 2000 },
      { name: 'e_bucket', labels: { le: '+Inf' }, value: 3 },
    ],
  );
});

test('a line of a megabyte that is no metric takes no longer to read than one that is', (t) => {
  // Minutes, if labels were looked for at every character.
  const long = 'x'.repeat(2 ** 20);
  t.deepEqual(parseExposition(`a{${long}} 1\na{b="${long}} 2\n`), [
    { name: 'a', labels: {}, value: 1 },
    { name: 'a', labels: {}, value: 2 },
  ]);
});

test('a pod that is not there, fails, sends too much or leads elsewhere gives no reading', async (t) => {
  const metrics = metricsAfter(3);
  const server = createServer((_, response) => {
    const answers: Readonly<Record<string, () => void>> = {
      'good.': () => void metrics.registry.metrics().then((text) => response.end(text)),
      'bad.': () => response.writeHead(500).end('soapstone_step 1\n'),
      'long.': () => response.end('x'.repeat(2 ** 21)),
      'elsewhere.': () => response.writeHead(302, { location: 'http://good./metrics' }).end(),
    };
    answers[mode]!();
  });
  let mode = 'good.';
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  const { port }: AddressInfo = Object(server.address());
  const { signal } = new AbortController();
  t.is((await fetchReading('127.0.0.1', port, signal))?.run?.step, 3);
  for (mode of ['bad.', 'long.', 'elsewhere.']) t.is(await fetchReading('127.0.0.1', port, signal), undefined, mode);
  t.is(await fetchReading('127.0.0.1', 1, signal), undefined);
  t.is(await fetchReading('::1', 1, signal), undefined);
});

const LINKS = [{ from: 0, to: 1, measuredBytesPerSec: 1e9, plannedBytesPerSec: 2e9 }];

test('what devices measured of their links is read; what makes no sense is left out', async (t) => {
  const metrics = metricsAfter(1);
  const link = { peer: 1, bytesPerSec: 1e9, latencyUs: 20, plannedBytesPerSec: 2e9 };
  metrics.observe(0, { type: 'links', links: [link] });
  t.deepEqual(readMetrics(await metrics.registry.metrics()).links, LINKS);
  const name = 'soapstone_link_measured_bytes_per_second';
  const planned = 'soapstone_link_planned_bytes_per_second';
  const lines = [
    `${name}{device="0",peer="1"} 1`,
    `${name}{device="1",peer="0"} 1`,
    `${planned}{device="1",peer="0"} 0`,
    `${name}{device="2",peer="x"} 1`,
    `${planned}{device="2",peer="x"} 1`,
    `${name}{device="3",peer="4"} NaN`,
    `${planned}{device="3",peer="4"} 1`,
  ];
  t.deepEqual(readMetrics(lines.join('\n')).links, []);
});

test('the follower asks leaders, tells news once a minute or with an awaited checkpoint, and all pods where a prediction is off', async (t) => {
  let nowMs = 0;
  let targets: Target[] = [
    { key: 'default/job', uid: 'u', attempt: 0, addresses: ['leader', 'other'], awaitsCheckpoint: false },
  ];
  let reading: Reading | undefined;
  const asked: string[] = [];
  const news: string[] = [];
  const follower = new ProgressFollower({
    intervalMs: 1,
    targets: () => targets,
    read: (address) => {
      asked.push(address);
      return Promise.resolve(reading);
    },
    onNews: (key) => news.push(key),
    nowMs: () => nowMs,
  });
  const lookAfter = async (steps: number, seconds: number, checkpointStep: number = 0): Promise<void> => {
    nowMs += 1000 * seconds;
    const { run, devices } = await readingAfter(steps);
    reading = { run: { ...run!, checkpointStep }, devices, links: LINKS };
    await follower.look();
  };
  await lookAfter(0, 0);
  await lookAfter(2, 15);
  t.deepEqual(news, [], 'one reading past the first step is no measurement yet');
  await lookAfter(20, 15);
  t.deepEqual(news, ['default/job']);
  t.is(follower.measurement('default/job', 'u', 0)?.step, 20);
  t.is(follower.measurement('default/job', 'u', 1), undefined, 'of another attempt');
  t.is(follower.measurement('default/job', 'v', 0), undefined, 'of another job of that name');
  await lookAfter(40, 15, 30);
  t.is(news.length, 1, 'too soon');
  targets = targets.map((target) => ({ ...target, awaitsCheckpoint: true }));
  await lookAfter(50, 15, 45);
  t.is(news.length, 2, 'the job waits for it');
  t.is(
    asked.filter((address) => address === 'other').length,
    1,
    'once for its links; 10 ms measured, 9 predicted: not off',
  );
  t.deepEqual(follower.measurement('default/job', 'u', 0)?.links, [...LINKS, ...LINKS]);
  nowMs += 60_000;
  const { run, devices } = await readingAfter(60);
  reading = { run: { ...run!, predictedIterationSeconds: 0.005 }, devices, links: LINKS };
  await follower.look();
  t.is(asked.at(-1), 'other');
  targets = [];
  await follower.look();
  t.is(follower.measurement('default/job', 'u', 0), undefined, 'forgotten with the job');
  follower.start();
  await follower.stop();
});

test('only the pods of the running attempt are asked, the leader first', (t) => {
  const resource = jobResource({}, { state: 'Running', attempt: 1 });
  const pod = (attempt: number, index: number, podIP: string, uid: string = 'job-uid'): object => ({
    metadata: {
      name: `job-${attempt}-${index}`,
      namespace: 'default',
      labels: { 'soapstone.dev/job': 'job', 'soapstone.dev/attempt': String(attempt) },
      ownerReferences: [{ apiVersion: 'x', kind: 'TrainingJob', name: 'job', uid }],
    },
    status: { podIP },
  });
  const pods = [pod(0, 0, 'old'), pod(1, 1, 'b'), pod(1, 0, 'a'), pod(1, 2, 'stranger', 'x')];
  const [target] = runningJobs([resource], pods);
  t.deepEqual(target?.addresses, ['a', 'b']);
  t.deepEqual(runningJobs([resource], [pod(1, 1, 'b')])[0]?.addresses, []);
  t.deepEqual(runningJobs([jobResource({}, { state: 'Starting' })], pods), []);
});

test('times are read as numbers, however long an iteration takes', (t) => {
  for (const [ms, text] of [
    [0.01234, '0.0123 ms'],
    [12.34, '12.3 ms'],
    [999.4, '999 ms'],
    [999.6, '1000 ms'],
    [44_240.4, '44240 ms'],
  ] as const)
    t.is(milliseconds(ms), text);
});

import { readFile } from 'node:fs/promises';
import test from 'ava';
import { kubectlHelpText, KUBECTL_COMMANDS } from '../../cli/kubectl/index.ts';
import { LineSplitter, mergeByTime, Prefixes, stampedLines } from '../../cli/kubectl/log-lines.ts';
import { combine } from '../../cli/kubectl/measure.ts';
import { parseMetrics } from '../../cli/kubectl/metrics-text.ts';
import { topCommand } from '../../cli/kubectl/top.ts';
import { jobsText, jobText } from '../../cli/kubectl/top-view.ts';
import { splitHelp } from '../../docs/reference/command-page.ts';
import { RuntimeMetrics } from '../../runtime/metrics/metrics.ts';
import { lenetPlan } from '../support/lenet-plan.ts';

/** Metrics as a pod serves them: so many steps of 20 ms on one device, the first of which also knows the loss. */
async function podMetrics(device: number, steps: number): Promise<string> {
  const metrics = new RuntimeMetrics({ job: 'j', batchSize: 64, plan: lenetPlan('p100x2', 64), devices: [device] });
  for (let step = 0; step < steps; step++) {
    metrics.observe(device, {
      type: 'step',
      step,
      iterationSeconds: 0.02,
      doneMs: 20 * (step + 1),
      computeSeconds: 0.015 * (step + 1),
      waitSeconds: 0.004 * (step + 1),
      collectiveSeconds: 0,
      traffic: [[1 - device, { sentBytes: 1000 * (step + 1), receivedBytes: 0, heldBytes: 0 }]],
      awaited: [],
      loss: device === 0 ? 0.25 : undefined,
    });
  }
  return metrics.registry.metrics();
}

const resource = {
  apiVersion: 'soapstone.dev/v1alpha1',
  kind: 'TrainingJob',
  metadata: { name: 'mnist', namespace: 'team' },
  spec: { training: { steps: 100 } },
  status: { state: 'Running', devices: 2, iteration: '16.0 ms', message: 'every pod runs' },
} as const;

test('the Prometheus text format is read: labels with escapes, infinity, no comments', (t) => {
  const text = '# HELP a x\na{b="c\\"d\\n",e="f"} 1.5\na_bucket{le="+Inf"} 3\nplain 2e3 1700000000\nnot a metric\n';
  t.deepEqual(parseMetrics(text), [
    { name: 'a', labels: { b: 'c"d\n', e: 'f' }, value: 1.5 },
    { name: 'a_bucket', labels: { le: '+Inf' }, value: 3 },
    { name: 'plain', labels: {}, value: 2000 },
  ]);
});

test('top: a job with its devices, since the start and since the reading before', async (t) => {
  const pods = ['mnist-0-0', 'mnist-0-1'];
  const reading = async (steps: number): Promise<ReturnType<typeof combine>> =>
    combine(await Promise.all(pods.map(async (pod, i) => [pod, parseMetrics(await podMetrics(i, steps))] as const)));
  const measured = await reading(10);
  t.like(measured, { step: 10, loss: 0.25 });
  t.is(
    jobText({ resource, measured }),
    `  job    state      step    loss  samples/s  devices  predicted  measured  difference
  mnist  Running  10/100  0.2500       3200        2    16.0 ms   20.0 ms        +25%
  every pod runs

  device  pod        iteration  computes  waits  sends an iteration
  0       mnist-0-0    20.0 ms       75%    20%             1.00 kB
  1       mnist-0-1    20.0 ms       75%    20%             1.00 kB
`,
  );
  const [first] = measured.devices;
  const before = {
    ...measured,
    devices: [{ ...first!, iterations: 9, iterationSeconds: first!.iterationSeconds - 0.04 }],
  };
  t.regex(jobsText([{ resource, measured, before }], true), / team\/mnist .* 40\.0 ms +\+150%\n$/);
});

test('top: a job without measurements shows its status, and why there are none', (t) => {
  t.is(
    jobsText([{ resource: { ...resource, status: { state: 'Searching' } } }], false),
    '  job    state      step  loss  samples/s  devices  predicted  measured  difference\n' +
      '  mnist  Searching     -     -          -        -          -         -           -\n',
  );
  const status = { ...resource.status, measured: { iteration: '24.0 ms', step: 12, steps: 100, loss: '0.5000' } };
  t.regex(
    jobsText([{ resource: { ...resource, status }, unreachable: 'cannot get metrics: why' }], false),
    / Running +12\/100 +0\.5000 +- +2 +16\.0 ms +24\.0 ms +\+50%\ncannot get metrics: why\n$/,
  );
  t.regex(jobsText([], false), /no TrainingJobs/);
});

test('logs are merged by time, whose fractions have as many digits as they need; ties keep the order of pods', (t) => {
  const logs = [
    stampedLines('a', '2026-01-01T00:00:05Z one\n2026-01-01T00:00:05.2Z three\n'),
    stampedLines('b', '2026-01-01T00:00:05.15Z two\n2026-01-01T00:00:05.2Z four more\n'),
  ];
  t.deepEqual(
    mergeByTime(logs).map(({ pod, text }) => `${pod} ${text}`),
    ['a one', 'b two', 'a three', 'b four more'],
  );
});

test('a stream is cut into lines wherever its pieces end, and prefixes are of equal width', (t) => {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const piece of ['a', 'b\nc', '', '\n\nd']) splitter.add(piece);
  splitter.end();
  t.deepEqual(lines, ['ab', 'c', '', 'd']);
  const plain = new Prefixes(['j-0-9', 'j-0-10'], false);
  t.deepEqual([plain.of('j-0-9'), plain.of('j-0-10')], ['j-0-9   ', 'j-0-10  ']);
  t.not(new Prefixes(['a', 'b'], true).of('a'), new Prefixes(['b', 'a'], true).of('a'));
});

test('every help of the plugin has an example, and docs/how-to/kubectl.md has every command', async (t) => {
  const page = await readFile(new URL('../../docs/how-to/kubectl.md', import.meta.url), 'utf8');
  t.true(splitHelp(kubectlHelpText()).examples.length > 0);
  for (const { name, help } of KUBECTL_COMMANDS) {
    t.true(splitHelp(help).examples.every((example) => example.startsWith(`kubectl soapstone ${name}`)));
    t.true(splitHelp(help).examples.length > 0);
    t.regex(page, new RegExp(`\\n\\| \`${name}\` `));
    t.regex(page, new RegExp(`\\nkubectl soapstone ${name}`));
  }
});

test('an interval that no timer waits for is refused: readings would come one upon the other', async (t) => {
  await t.throwsAsync(
    Promise.resolve().then(() => topCommand.run(['--interval', '2147484'])),
    {
      message: "--interval is '2147484'; expected a positive number up to 2147483",
    },
  );
});

import { readFile } from 'node:fs/promises';
import test from 'ava';
import { kubectlHelpText, KUBECTL_COMMANDS } from '../../cli/kubectl/index.ts';
import { LineSplitter, mergeByTime, Prefixes, stampedLines } from '../../cli/kubectl/log-lines.ts';
import { lineText } from '../../cli/kubectl/logs.ts';
import { combine } from '../../cli/kubectl/measure.ts';
import { topCommand } from '../../cli/kubectl/top.ts';
import { jobsText, jobText } from '../../cli/kubectl/top-view.ts';
import { parseExposition } from '../../operator/progress/exposition.ts';
import { splitHelp } from '../../docs/reference/command-page.ts';
import { RuntimeMetrics } from '../../runtime/metrics/metrics.ts';
import { lenetPlan } from '../support/lenet-plan.ts';

/** Metrics as a pod serves them: so many steps of 20 ms on one device, the first of which also knows the loss. */
async function podMetrics(device: number, steps: number, loss: number = 0.25): Promise<string> {
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
      loss: device === 0 ? loss : undefined,
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

test('top: a job with its devices, since the start and since the reading before', async (t) => {
  const pods = ['mnist-0-0', 'mnist-0-1'];
  const reading = async (steps: number): Promise<ReturnType<typeof combine>> =>
    combine(await Promise.all(pods.map(async (pod, i) => [pod, parseExposition(await podMetrics(i, steps))] as const)));
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

test('top: a loss that is no number, or has no bounds, is shown as such', async (t) => {
  for (const [loss, shown] of [
    [NaN, 'NaN'],
    [Infinity, 'Infinity'],
  ] as const) {
    const measured = combine([['mnist-0-0', parseExposition(await podMetrics(0, 10, loss))]]);
    t.regex(jobsText([{ resource, measured }], false), new RegExp(` Running +10/100 +${shown} `));
  }
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

/** A line as a pod wrote it at 12:00:05, and as it is shown. */
const LINES: readonly (readonly [line: string, shown: string])[] = [
  ['step 100: loss 0.2500, 20.0 ms', '12:00:05 step 100: loss 0.2500, 20.0 ms'],
  [
    'device 0: {"type":"ready","steps":1000,"firstStep":0,"predicted":{"computeSeconds":0.0123,"collectiveSeconds":0.001}}',
    '12:00:05 device 0: begins, 1000 steps in all; predicted of an iteration: 12.3 ms of computing, 1.00 ms of adding up gradients',
  ],
  [
    'device 1: {"type":"ready","steps":1000,"firstStep":200,"predicted":{"computeSeconds":2,"collectiveSeconds":0}}',
    '12:00:05 device 1: goes on after step 200, 1000 steps in all; predicted of an iteration: 2.00 s of computing, 0.00 ms of adding up gradients',
  ],
  [
    'device 0: {"type":"links","links":[{"peer":1,"bytesPerSec":8.8e8,"latencyUs":9,"plannedBytesPerSec":1.25e9}]}',
    '12:00:05 device 0: measured links: to device 1 0.88 GB/s (planned 1.3 GB/s)',
  ],
  [
    'device 0: {"type":"evaluation","step":50,"loss":0.5,"accuracy":0.875}',
    '12:00:05 device 0: evaluation after 50 steps: loss 0.5000, accuracy 87.50%',
  ],
  [
    'device 0: {"type":"checkpoint","step":50,"path":"checkpoints/step-50","seconds":0.5}',
    '12:00:05 device 0: checkpoint after 50 steps in 500 ms: checkpoints/step-50',
  ],
  ['device 0: {"type":"notice","message":"a\\nb\\u001b[2J"}', '12:00:05 device 0: a b'],
  ['device 0: {"type":"model","path":"trained.onnx"}', '12:00:05 device 0: trained model: trained.onnx'],
  ['device 1: {"type":"failed","message":"no memory"}', '12:00:05 device 1: failed: no memory'],
  ['device 1: {"type":"stopped","step":7}', '12:00:05 device 1: stopped after step 7'],
  ['device 1: {"type":"done"}', '12:00:05 device 1: done'],
  // Nothing of these is known: they stay as they are.
  ...[
    '',
    'metrics: http://0.0.0.0:9400/metrics',
    '{"level":30,"msg":"of another program"}',
    'device 0: {"type":"of another version"}',
    'device 0: {"type":"checkpoint","step":"50"}',
    'device 0: {"type":"constructor"}',
    'device 0: {cut off}',
  ].map((line) => [line, line] as const),
];

test('logs: what devices tell is shown in words with the time of day, anything else as it is, and all of it raw where asked', (t) => {
  const time = '2026-01-01T12:00:05.25Z';
  for (const [text, shown] of LINES) {
    const line = { pod: 'a', time, text };
    const words = { raw: false, terminal: true };
    const raw = { raw: true, terminal: true };
    t.is(lineText(line, { timestamps: false, ...words }), shown);
    t.is(lineText(line, { timestamps: true, ...words }), `${time} ${shown.replace(/^12:00:05 /, '')}`);
    t.is(lineText(line, { timestamps: false, ...raw }), text);
    t.is(lineText(line, { timestamps: true, ...raw }), `${time} ${text}`);
  }
});

/** Lines of other programs, and what is shown of them. */
const STRANGE: readonly (readonly [line: string, shown: string])[] = [
  ['\u001B[32mINFO\u001B[0m listening on \u001B[1;4m:8080\u001B[m', 'INFO listening on :8080'],
  ['\u001B]0;owned\u0007title', 'title'],
  ['\u001B]8;;http://x\u001B\\link\u001B]8;;\u001B\\ on', 'link on'],
  ['\u009B2Jcleared\u001Bc', 'cleared'],
  ['\u001BP$q q\u001B\\device control', 'device control'],
  ['an unfinished \u001B]0;title that never ends', 'an unfinished '],
  [' 10%|#   |\r 50%|##  |\r100%|####|\r', '100%|####|'],
  ['of Windows\r', 'of Windows'],
  ['a\tb\u0000\u0007c\u0008\u0008', 'a\tb c '],
  ['step 5: loss \u001B[31m0.5\u001B[0m', '12:00:05 step 5: loss 0.5'],
  ['access \u202Egranted\u202C', 'access granted'],
  ['größer, 大きい 🎉', 'größer, 大きい 🎉'],
];

test('logs: lines of other programs move no cursor, colour nothing, and set no title; into a file they go as they were written', (t) => {
  const time = '2026-01-01T12:00:05.25Z';
  for (const [text, shown] of STRANGE) {
    const line = { pod: 'a', time, text };
    t.is(lineText(line, { timestamps: false, raw: false, terminal: false }), shown);
    t.is(lineText(line, { timestamps: false, raw: true, terminal: true }), shown.replace(/^12:00:05 /, ''));
    t.is(lineText(line, { timestamps: false, raw: true, terminal: false }), text);
  }
});

test('logs: a line without a time, as a kubelet writes where a log is gone, is shown whole, after the one before it', (t) => {
  const log = '2026-01-01T00:00:05Z one\nunable to retrieve container logs for containerd://ab\n2026-01-01T00:00:06Z\n';
  t.deepEqual(stampedLines('a', log), [
    { pod: 'a', time: '2026-01-01T00:00:05Z', text: 'one' },
    { pod: 'a', time: '2026-01-01T00:00:05Z', text: 'unable to retrieve container logs for containerd://ab' },
    { pod: 'a', time: '2026-01-01T00:00:06Z', text: '' },
  ]);
});

test('top: why attempts ended is told with the lines that are kept of pods which are gone', (t) => {
  const restarts = [
    {
      attempt: 1,
      time: '2026-01-01T12:00:05.250Z',
      reason: 'Crashed',
      message: 'pod mnist-1-0 on node a failed with exit code 2: no\u001B[2J data',
      log: 'step 3: loss 0.5\nno\u001B[2J data',
    },
    { attempt: 0, time: '2026-01-01T12:00:01.000Z', reason: 'NodeLost', message: 'node b of pod mnist-0-1 is gone' },
  ];
  const text = jobText({ resource: { ...resource, status: { ...resource.status, attempt: 2, restarts } } });
  t.is(
    text.slice(text.indexOf('why')),
    `why attempts ended, the newest first (mnist is at attempt 2):
  attempt 1, 2026-01-01T12:00:05Z, Crashed: pod mnist-1-0 on node a failed with exit code 2: no data
    | step 3: loss 0.5
    | no data
  attempt 0, 2026-01-01T12:00:01Z, NodeLost: node b of pod mnist-0-1 is gone
`,
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

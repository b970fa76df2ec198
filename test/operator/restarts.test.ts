import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import type { JobStatus } from '../../operator/api/resource.ts';
import { decide } from '../../operator/decide/decide.ts';
import { exitInWords } from '../../operator/decide/exit-codes.ts';
import { lastLines, lastWords } from '../../operator/decide/last-words.ts';
import type { Observed } from '../../operator/decide/types.ts';
import { planOn } from '../support/attempt.ts';
import { NOW, optionsAfter } from '../support/decide-options.ts';
import { gpuNode, jobResource } from '../support/kubernetes.ts';

const said = (message: string): { exitCode: number; message: string } => ({ exitCode: 1, message });

/** What Node 24 wrote at the end of processes that died so. */
const UNCAUGHT = `[eval]:1
throw Object.assign(new TypeError('bad thing'),{code:'E_X'})
^

TypeError: bad thing
    at [eval]:1:21
    at runScriptInThisContext (node:internal/vm:219:10)
    at node:internal/main/eval_string:71:3 {
  code: 'E_X'
}

Node.js v24.21.0
`;
const OUT_OF_HEAP = `<--- Last few GCs --->

[32147:0x11443000]       66 ms: Mark-Compact 49.5 (82.3) -> 49.5 (82.3) MB, pooled: 0 MB, 14.53 / 0.00 ms

FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
----- Native stack trace -----

 1: 0x931db0  [node]
 2: 0x75968e node::OOMErrorHandler(char const*, v8::OOMDetails const&) [node]
`;

const WORDS: readonly (readonly [title: string, log: string, words: string | undefined])[] = [
  ['nothing', '', undefined],
  ['its last line', 'step 3: loss 0.5\nkilled by SIGSEGV\n\n', 'killed by SIGSEGV'],
  ['its sentence, whatever follows', 'soapstone: no GPU\nstep 3: loss 0.5\n', 'no GPU'],
  [
    'all of its sentence',
    'soapstone: it has 2 problems:\n  a: is 1\n  b: is 2\nbye\n',
    'it has 2 problems: a: is 1 b: is 2',
  ],
  ['the exception that nobody caught', UNCAUGHT, 'TypeError: bad thing'],
  [
    'that its heap was full',
    OUT_OF_HEAP,
    'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
  ],
  ['a line without what a terminal acts upon', '10%\r\u001B[31m20%\u001B[0m\u0007 done\r\n', '20%  done'],
  ['what there is, where all of it is a trace', '    at a (b.js:1:2)\n', 'at a (b.js:1:2)'],
];

for (const [title, log, words] of WORDS)
  test(`the last words of a container are ${title}`, (t) => t.is(lastWords(said(log)), words));

test('the last lines of a container are kept where they are more than one, and bounded', (t) => {
  t.is(lastLines(said('only this\n')), undefined);
  t.is(lastLines(said('one\n\n\u001B[1mtwo\u001B[0m\n')), 'one\ntwo');
  const many = lastLines(said(Array.from({ length: 80 }, (_, i) => `line ${i}`).join('\n')))!.split('\n');
  t.deepEqual([many.length, many[0], many.at(-1)], [12, 'line 68', 'line 79']);
  const long = lastLines(said(`${'x'.repeat(900)}\n${'y'.repeat(900)}\n${'z'.repeat(90)}`))!;
  t.is(long, `${'y'.repeat(900)}\n${'z'.repeat(90)}`);
});

test('an exit code is told with what it means', (t) => {
  t.is(exitInWords(3), 'exit code 3');
  t.regex(exitInWords(135), /^exit code 135 \(SIGBUS: .*\/dev\/shm.*\)$/);
  t.regex(exitInWords(127), /^exit code 127 \(its command is not in the image\)$/);
});

const NODES = [gpuNode('a', 1), gpuNode('b', 1)];
const plan = planOn(NODES);

function observed(pods: readonly V1Pod[], status: JobStatus | undefined, spec: object = { backoffLimit: 9 }): Observed {
  const resource = jobResource({ ...spec }, status);
  return { resource, nodes: NODES, pods, plan, search: { kind: 'none' }, applyError: undefined };
}

const container = (name: string, exitCode: number, message: string): V1ContainerStatus => ({
  name,
  image: '',
  imageID: '',
  ready: false,
  restartCount: 0,
  state: { terminated: { exitCode, message } },
});

function failedPod(attempt: number, status: NonNullable<V1Pod['status']>): V1Pod {
  return {
    metadata: {
      name: `job-${attempt}-0`,
      namespace: 'default',
      labels: { 'soapstone.dev/job': 'job', 'soapstone.dev/attempt': String(attempt) },
      ownerReferences: [{ apiVersion: 'x', kind: 'TrainingJob', name: 'job', uid: 'job-uid' }],
    },
    spec: { nodeName: 'a', containers: [] },
    status: { phase: 'Failed', ...status },
  };
}

const crash = (attempt: number, message: string): V1Pod =>
  failedPod(attempt, { containerStatuses: [container('worker', 2, message)] });

test('why an attempt ended outlives its pods: which, on which node, what it said, and the lines before', (t) => {
  const log = 'step 3: loss 0.5\nsoapstone: the loss is not a number\n';
  const { status, events, deletePods } = decide(observed([crash(0, log)], undefined), optionsAfter(0));
  const message = 'pod job-0-0 on node a failed with exit code 2: the loss is not a number';
  t.deepEqual(status.restarts, [
    { attempt: 0, time: NOW.toISOString(), reason: 'Crashed', message, log: log.trimEnd() },
  ]);
  t.deepEqual(
    deletePods.map(({ name }) => name),
    ['job-0-0'],
  );
  t.is(status.lastFailure, message);
  t.deepEqual(
    events.filter((event) => event.message.includes(message)),
    [{ type: 'Warning', reason: 'Crashed', message: `${message}; starting attempt 1 from the last checkpoint` }],
  );
});

test('each restart is told by one event, also where two attempts in a row ended of the same; so is the failure of the job', (t) => {
  const first = decide(observed([crash(0, 'a fault')], undefined), optionsAfter(0)).status;
  const told = (backoffLimit: number): string[] =>
    decide(observed([crash(1, 'a fault')], first, { backoffLimit }), optionsAfter(9)).events.map(
      ({ reason, message }) => `${reason}: ${message}`,
    );
  const what = 'pod job-1-0 on node a failed with exit code 2: a fault';
  t.deepEqual(told(9), [`Crashed: ${what}; starting attempt 2 from the last checkpoint`]);
  t.deepEqual(told(1), [
    `BackoffLimitExceeded: ${what}; 2 attempts failed and spec.backoffLimit is 1: see the pod's log, and status.restarts`,
  ]);
});

test('the last five are kept, the newest first, and the one that fails the job is among them', (t) => {
  let status: JobStatus | undefined;
  for (let attempt = 0; attempt < 7; attempt++)
    status = decide(observed([crash(attempt, `cause ${attempt}`)], status), optionsAfter(attempt)).status;
  t.deepEqual(
    status?.restarts?.map(({ attempt }) => attempt),
    [6, 5, 4, 3, 2],
  );
  const last = decide(observed([crash(7, 'cause 7')], status, { backoffLimit: 7 }), optionsAfter(9)).status;
  t.is(last.state, 'Failed');
  t.regex(last.restarts?.[0]?.message ?? '', /job-7-0 .* cause 7$/);
});

test('what comes again until it is cured takes one place, so that a crash before it stays', (t) => {
  let { status } = decide(observed([crash(0, 'a fault')], undefined), optionsAfter(0));
  for (let attempt = 1; attempt < 9; attempt++) {
    const lacking = failedPod(attempt, { containerStatuses: [container('worker', 66, 'there is no data.bin')] });
    status = decide(observed([lacking], status), optionsAfter(attempt)).status;
  }
  t.deepEqual(
    status.restarts?.map(({ attempt, reason }) => [attempt, reason]),
    [
      [8, 'FileMissing'],
      [0, 'Crashed'],
    ],
  );
});

test('a container beside the runtime, or before it, is named where it failed; codes of the runtime mean nothing there', (t) => {
  const why = (status: NonNullable<V1Pod['status']>): unknown[] => {
    const decided = decide(observed([failedPod(0, status)], undefined), optionsAfter(0)).status;
    return [decided.reason, decided.lastFailure];
  };
  const fetched = container('fetch', 66, 'no such bucket');
  const message = 'container fetch of pod job-0-0 on node a failed with exit code 66: no such bucket';
  t.deepEqual(why({ initContainerStatuses: [fetched] }), ['Crashed', message]);
  t.deepEqual(why({ containerStatuses: [container('worker', 0, ''), fetched] }), ['Crashed', message]);
  const worker = container('worker', 2, 'a fault');
  const its = ['Crashed', 'pod job-0-0 on node a failed with exit code 2: a fault'];
  t.deepEqual(why({ containerStatuses: [fetched, worker], initContainerStatuses: [fetched] }), its);
});

test('an attempt of which pods are missing gets them of the version that the others have, the next one of that of the controller', (t) => {
  const missing = failedPod(0, { phase: 'Running' });
  const older = { ...missing, spec: { nodeName: 'a', containers: [{ name: 'worker', image: 'soapstone:older' }] } };
  const imagesOf = (pods: readonly V1Pod[], status?: JobStatus): unknown[] =>
    decide(observed(pods, status), optionsAfter(3)).pods.map((made: V1Pod) => [
      made.metadata?.name,
      made.spec?.containers[0]?.image,
    ]);
  t.deepEqual(imagesOf([older])[1], ['job-0-1', 'soapstone:older']);
  const { status } = decide(observed([crash(0, 'a fault')], undefined), optionsAfter(0));
  t.deepEqual(imagesOf([], status), [
    ['job-1-0', 'soapstone:test'],
    ['job-1-1', 'soapstone:test'],
  ]);
});

test('pods of one attempt are made from one spec: half of them, and it is edited, they all begin anew', (t) => {
  const memory = (amount: string): object => ({
    template: { spec: { containers: [{ name: 'worker', resources: { limits: { memory: amount } } }] } },
  });
  const first = decide(observed([], undefined, memory('4Gi')), optionsAfter(0));
  const [half, other] = first.pods.map(({ metadata }): V1Pod => {
    const pod = failedPod(0, { phase: 'Running' });
    return { ...pod, metadata: { ...pod.metadata, ...metadata } };
  });
  const later = (pods: readonly (V1Pod | undefined)[], spec: object): ReturnType<typeof decide> =>
    decide(
      observed(
        pods.filter((pod) => pod !== undefined),
        first.status,
        spec,
      ),
      optionsAfter(3),
    );
  const same = later([half], { ...memory('4Gi'), backoffLimit: 1, search: { seconds: 1 } });
  t.deepEqual([same.status.reason, same.status.attempt, same.pods.length], ['Starting', 0, 2], 'no part of the pods');
  for (const edit of [memory('8Gi'), { ...memory('4Gi'), tls: true }, {}]) {
    const { status, deletePods, pods } = later([half], edit);
    t.deepEqual([status.reason, status.attempt, status.failures], ['SpecChanged', 1, { Evicted: 1 }]);
    t.is(
      status.message,
      'the spec was changed when 1 of 2 pods were there; starting attempt 1 from the last checkpoint',
    );
    t.deepEqual([deletePods.map(({ name }) => name), pods], [['job-0-0'], []]);
    t.is(later([half, other], edit).status.reason, 'AllRunning', 'all are there, and alike');
  }
});

test('containers of spec.template leave their last words, too, unless they say otherwise', (t) => {
  const spec = {
    initContainers: [{ name: 'fetch', image: 'x' }],
    containers: [{ name: 'proxy', image: 'y', terminationMessagePolicy: 'File' }],
  };
  const { pods } = decide(observed([], undefined, { template: { spec } }), optionsAfter(0));
  const made: V1Pod | undefined = pods[0];
  const policies = [...(made?.spec?.containers ?? []), ...(made?.spec?.initContainers ?? [])].map(
    ({ name, terminationMessagePolicy }) => [name, terminationMessagePolicy],
  );
  t.deepEqual(policies, [
    ['worker', 'FallbackToLogsOnError'],
    ['proxy', 'File'],
    ['fetch', 'FallbackToLogsOnError'],
  ]);
});

import { readdir, readFile } from 'node:fs/promises';
import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import type { JobStatus } from '../../operator/api/resource.ts';
import { decide } from '../../operator/decide/decide.ts';
import { podTrouble } from '../../operator/decide/pod-trouble.ts';
import { REASONS } from '../../operator/decide/reasons.ts';
import type { ApplyFailure, Observed } from '../../operator/decide/types.ts';
import { planOn } from '../support/attempt.ts';
import { NOW, optionsAfter } from '../support/decide-options.ts';
import { gpuNode, jobResource } from '../support/kubernetes.ts';

const NODES = [gpuNode('a', 1), gpuNode('b', 1)];
const plan = planOn(NODES);

function observed(parts: Partial<Observed> = {}): Observed {
  const nothing = { pods: [], plan, search: { kind: 'none' }, applyError: undefined } as const;
  return { resource: jobResource(), nodes: NODES, ...nothing, ...parts };
}

function pod(index: number, status: NonNullable<V1Pod['status']>): V1Pod {
  return {
    metadata: {
      name: `job-0-${index}`,
      namespace: 'default',
      labels: { 'soapstone.dev/job': 'job', 'soapstone.dev/attempt': '0' },
      ownerReferences: [{ apiVersion: 'x', kind: 'TrainingJob', name: 'job', uid: 'job-uid' }],
    },
    spec: { nodeName: 'ab'[index]!, containers: [] },
    status,
  };
}

const container = (state: NonNullable<V1ContainerStatus['state']>): V1ContainerStatus => ({
  name: 'worker',
  image: '',
  imageID: '',
  ready: false,
  restartCount: 0,
  state,
});
const waiting = (reason: string, message?: string): NonNullable<V1Pod['status']> => ({
  phase: 'Pending',
  containerStatuses: [container({ waiting: { reason, ...(message === undefined ? {} : { message }) } })],
});

/** The kubelet's and the scheduler's own words, and what the job says of them. */
const TROUBLES: readonly (readonly [string, NonNullable<V1Pod['status']>, string, RegExp])[] = [
  ['a first failed pull', waiting('ErrImagePull', 'manifest unknown'), 'ImagePullFailed', /manifest unknown/],
  ['pulls that back off', waiting('ImagePullBackOff', 'Back-off pulling image "x"'), 'ImagePullFailed', /pull secrets/],
  ['a name that is none', waiting('InvalidImageName'), 'ImagePullFailed', /image name that is none/],
  ['an image that must be there', waiting('ErrImageNeverPull'), 'ImagePullFailed', /imagePullPolicy/],
  [
    'a missing Secret',
    waiting('CreateContainerConfigError', 'secret "x" not found'),
    'ContainerConfigError',
    /secret "x" not found/,
  ],
  ['a container that cannot be created', waiting('CreateContainerError'), 'ContainerConfigError', /cannot be created/],
  ['a container that cannot be run', waiting('RunContainerError'), 'ContainerConfigError', /cannot be run/],
  [
    'an init container',
    { phase: 'Pending', initContainerStatuses: [container({ waiting: { reason: 'ErrImagePull' } })] },
    'ImagePullFailed',
    /cannot pull/,
  ],
  [
    'no room',
    {
      phase: 'Pending',
      conditions: [
        { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/5 nodes: 5 Insufficient cpu.' },
      ],
    },
    'Unschedulable',
    /5 Insufficient cpu/,
  ],
];

for (const [title, status, reason, message] of TROUBLES) {
  test(`a pod that does not start: ${title}: ${reason}`, (t) => {
    const pods = [pod(0, status), pod(1, { phase: 'Running' })];
    const { status: told, events } = decide(observed({ pods }), optionsAfter(0));
    t.deepEqual([told.state, told.reason], ['Starting', reason]);
    t.regex(told.message, /1 of 2 pods are running; pod job-0-0/);
    t.regex(told.message, message);
    t.is(events.find((event) => event.reason === reason)?.type, 'Warning');
  });
}

test('a pod that is only young, or held by a gate, is no trouble', (t) => {
  for (const status of [
    {},
    waiting('ContainerCreating'),
    waiting('PodInitializing'),
    { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] },
  ]) {
    t.is(podTrouble(pod(0, status)), undefined);
  }
});

const QUOTA = 'pods "job-0-0" is forbidden: exceeded quota: none, requested: pods=1';
const CREATIONS: readonly (readonly [ApplyFailure['code'], string, string, boolean?])[] = [
  [403, QUOTA, 'QuotaExceeded'],
  [403, 'pods "job-0-0" is forbidden: failed quota: q: must specify limits.cpu for: worker', 'QuotaExceeded'],
  [403, 'pods is forbidden: violates PodSecurity "restricted:latest"', 'CreationForbidden'],
  [422, 'Pod "job-0-0" is invalid: spec.containers[0].image: Required value', 'InvalidPod'],
  [500, 'etcdserver: request timed out', 'CreationFailed'],
  [undefined, 'connect ECONNREFUSED', 'CreationFailed'],
  [undefined, 'ConfigMap default/job-plan is there already', 'NameTaken', true],
];

for (const [code, message, reason, nameTaken = false] of CREATIONS) {
  test(`an object that cannot be created: ${code ?? 'no answer'}, ${message}: ${reason}`, (t) => {
    const { status, pods } = decide(observed({ applyError: { code, message, nameTaken } }), optionsAfter(0));
    t.deepEqual([status.state, status.reason, status.message], ['Starting', reason, message]);
    t.is(pods.length, 2, 'it is tried again');
  });
}

test('while another has the name of a pod, only that one is tried, which tells whose it is; the rest would hold devices', (t) => {
  const metadata = { name: 'job-0-1', namespace: 'default' };
  const names = (pods: readonly V1Pod[], applyError?: ApplyFailure): unknown[] => {
    const decision = decide(observed({ pods, applyError }), optionsAfter(0));
    const { status, requeueAfterMs } = decision;
    return [decision.pods.map((each) => each.metadata.name), status.reason, status.message, requeueAfterMs];
  };
  const waiting = '0 of 2 pods are running; waiting for job-0-1, not of this job, to end';
  t.deepEqual(names([{ metadata }]), [['job-0-1'], 'Starting', waiting, 5000]);
  const message = 'Pod default/job-0-1 is there already and belongs to StatefulSet job-0';
  const told = names([{ metadata }], { code: undefined, message, nameTaken: true });
  t.deepEqual(told, [['job-0-1'], 'NameTaken', message, 5000]);
  const elsewhere = { metadata: { ...metadata, namespace: 'other' } };
  for (const pods of [[], [elsewhere], [{ metadata: { ...metadata, name: 'job-1-1' } }]])
    t.deepEqual(names(pods), [['job-0-0', 'job-0-1'], 'Starting', '0 of 2 pods are running', undefined]);
});

test('no node with the resource is another trouble than none free', (t) => {
  const reason = (nodes: Observed['nodes']): string =>
    decide(observed({ nodes, plan: undefined }), optionsAfter(0)).status.reason;
  t.is(reason([gpuNode('a', 0)]), 'NoDevices');
  t.is(reason([]), 'NoDevices');
  t.is(reason([gpuNode('a', 1)]), 'InsufficientDevices');
  t.is(reason([gpuNode('a', 8, {}, { unschedulable: true })]), 'InsufficientDevices');
});

test("a crash is told with the pod's last words", (t) => {
  const message = 'step 3: loss 0.5\nthe process of device 1 was killed by SIGSEGV in step 4; start the job again\n\n';
  const crashed = pod(0, { phase: 'Failed', containerStatuses: [container({ terminated: { exitCode: 1, message } })] });
  const { status, pods } = decide(observed({ pods: [crashed, pod(1, { phase: 'Running' })] }), optionsAfter(0));
  t.is(
    status.message,
    'pod job-0-0 on node a failed with exit code 1: the process of device 1 was killed by SIGSEGV in step 4; start the job again; ' +
      'starting attempt 1 from the last checkpoint',
  );
  t.deepEqual(pods, []);
  const first = JSON.stringify(decide(observed(), optionsAfter(0)).pods[0]);
  t.true(first.includes('"terminationMessagePolicy":"FallbackToLogsOnError"'));
  t.false(first.includes('terminationGracePeriodSeconds'));
  const resource = jobResource({ checkpoint: { directory: 'checkpoints', everySteps: 10 } });
  const saving = JSON.stringify(decide(observed({ resource }), optionsAfter(0)).pods[0]);
  t.true(saving.includes('"terminationGracePeriodSeconds":120'), 'it is to write a checkpoint first');
});

test('pods that lost their plan end, and another is made; without pods it is only made', (t) => {
  const pods = [pod(0, { phase: 'Running' }), pod(1, { phase: 'Running' })];
  const lost = decide(observed({ pods, plan: undefined }), optionsAfter(0));
  t.deepEqual([lost.status.state, lost.status.reason, lost.deletePods.length], ['Restarting', 'PlanLost', 2]);
  t.deepEqual([lost.status.attempt, lost.status.failures, lost.startSearch], [1, { Evicted: 1 }, undefined]);
  t.truthy(decide(observed({ plan: undefined, resource: jobResource({}, lost.status) }), optionsAfter(1)).startSearch);
});

test('a job with pods cannot become another; what only matters to the next attempt may change', (t) => {
  const { status } = decide(observed(), optionsAfter(0));
  const { training, ...spec } = Object(jobResource().spec);
  const changed = (parts: Readonly<Record<string, unknown>>): ReturnType<typeof decide> =>
    decide(observed({ resource: jobResource(parts, status) }), optionsAfter(1));
  const long = { projected: { sources: Array.from({ length: 50 }, (_, i) => ({ configMap: { name: `part-${i}` } })) } };
  const refused: readonly (readonly [parts: Readonly<Record<string, unknown>>, said: RegExp])[] = [
    [
      { model: { builtin: { name: 'alexnet' } } },
      /^spec\.model\.builtin\.name was changed from "lenet" to "alexnet" after the job got its pods; set it back, or delete/,
    ],
    [
      { dataset: { synthetic: { samples: 128 } } },
      /^spec\.dataset\.synthetic\.samples was changed from 64 to 128 after/,
    ],
    [
      { training: { ...training, batchSize: 32, seed: 9 } },
      /^spec\.training\.batchSize was changed from 16 to 32, spec\.training\.seed was changed from \d+ to 9 after .*set them back/,
    ],
    [
      { training: { ...training, optimizer: { name: 'adam', learningRate: 0.1 } } },
      /^spec\.training\.optimizer\.name was changed from "sgd" to "adam" after/,
    ],
    [
      { training: { ...training, frozen: ['conv*'] } },
      /^spec\.training\.frozen was changed from nothing to \["conv\*"\] after/,
    ],
    [{ storage: { emptyDir: {} } }, /^spec\.storage\.emptyDir was changed from nothing to \{\} after/],
    [
      { storage: long },
      /^spec\.storage was changed from nothing to SHA-256 [0-9a-f]{16} of \{"projected".{1,50}\.\.\. after/,
    ],
    [
      { devices: { ...spec.devices, resource: 'amd.com/gpu' } },
      /^spec\.devices\.resource was changed from "nvidia\.com\/gpu" to "amd\.com\/gpu" after/,
    ],
  ];
  for (const [parts, said] of refused) {
    const decision = changed(parts);
    t.deepEqual([decision.status.state, decision.status.reason], ['Invalid', 'ImmutableFieldChanged']);
    t.regex(decision.status.message, said);
    t.deepEqual([decision.pods, decision.deletePods, decision.startSearch], [[], [], undefined]);
  }
  const allowed = [
    {},
    { backoffLimit: 9 },
    { devices: { min: 1, max: 2 } },
    { training: { ...training, steps: 9 } },
    { template: { spec: { priorityClassName: 'high' } } },
  ];
  for (const parts of allowed) t.is(changed(parts).pods.length, 2, Object.keys(parts)[0]);
  const older = { ...status, fixed: { version: '0.0.1', 'spec.model': 'of another version' } };
  const upgraded = decide(observed({ resource: jobResource({}, older) }), optionsAfter(1));
  t.deepEqual([upgraded.pods.length, upgraded.status.fixed], [2, status.fixed], 'an upgrade is no change');
  const before = decide(observed({ plan: undefined }), optionsAfter(0)).status;
  const resource = jobResource({ model: { builtin: { name: 'alexnet' } } }, before);
  t.is(
    decide(observed({ plan: undefined, resource }), optionsAfter(1)).status.state,
    'Searching',
    'before it has pods',
  );
});

/** Specs that are refused of a job that runs. */
const REFUSED: readonly (readonly [reason: string, spec: Readonly<Record<string, unknown>>])[] = [
  ['ImmutableFieldChanged', { dataset: { synthetic: { samples: 128 } } }],
  ['InvalidSpec', { devices: { min: 4, max: 2 } }],
];

for (const [reason, spec] of REFUSED) {
  test(`while a job that runs is refused, its conditions say how its pods are, and none is started: ${reason}`, (t) => {
    const both = [pod(0, { phase: 'Running' }), pod(1, { phase: 'Running' })];
    const done = both.map((each) => ({ ...each, status: { phase: 'Succeeded' } }));
    const before = decide(observed({ pods: both }), optionsAfter(0)).status;
    const refused = (pods: readonly V1Pod[], status: JobStatus, suspend: boolean = false): ReturnType<typeof decide> =>
      decide(observed({ pods, resource: jobResource({ ...spec, suspend }, status) }), optionsAfter(1));
    const told = ({ status }: ReturnType<typeof decide>, type: string): (string | undefined)[] => {
      const condition = status.conditions.find((each) => each.type === type);
      return [condition?.status, condition?.reason, condition?.message];
    };
    const cases: readonly (readonly [pods: readonly V1Pod[], status: string, reason: string, message: RegExp])[] = [
      [both, 'True', 'AllRunning', /^2 pods are running$/],
      [both.slice(1), 'False', 'NotAccepted', /^1 of 2 pods are there; none is started until the spec is accepted$/],
      [[], 'False', 'NotAccepted', /^0 of 2 pods are there; none is started/],
      [
        [both[0]!, pod(1, { phase: 'Failed' })],
        'False',
        'NotAccepted',
        /^pod job-0-1 on node b failed; none is started/,
      ],
      [[both[0]!, pod(1, { phase: 'Pending' })], 'False', 'Starting', /^1 of 2 pods are running/],
      [done, 'False', 'Finished', /^every pod has done its work$/],
    ];
    for (const [pods, status, why, message] of cases) {
      const decision = refused(pods, before);
      t.deepEqual([decision.status.state, decision.status.reason], ['Invalid', reason]);
      t.deepEqual([decision.pods, decision.deletePods, decision.startSearch], [[], [], undefined]);
      const [found, foundReason, foundMessage] = told(decision, 'PodsReady');
      t.deepEqual([found, foundReason], [status, why]);
      t.regex(foundMessage ?? '', message);
    }

    const suspended = refused(both, before, true);
    t.deepEqual([suspended.status.state, suspended.deletePods.length, suspended.status.attempt], ['Suspended', 2, 1]);
    t.deepEqual(told(suspended, 'Suspended').slice(0, 2), ['True', 'SuspendRequested']);
    t.deepEqual(told(suspended, 'PodsReady').slice(0, 2), ['False', 'SuspendRequested']);
    t.deepEqual(told(suspended, 'Accepted').slice(0, 2), ['False', reason], 'it is told still');
    const resumed = refused([], suspended.status);
    t.deepEqual([resumed.status.state, ...told(resumed, 'Suspended').slice(0, 1)], ['Invalid', 'False']);

    // Pods that are there cannot go on with a new one among them; where there is none, the attempt begins anew.
    const back = (pods: readonly V1Pod[]): ReturnType<typeof decide> =>
      decide(observed({ pods, resource: jobResource({}, refused(pods, before).status) }), optionsAfter(2));
    t.deepEqual([back(both).status.state, back(both).status.attempt], ['Running', 0]);
    t.deepEqual(
      [back(both.slice(1)).status.state, back(both.slice(1)).status.failures],
      ['Restarting', { Evicted: 1 }],
    );
    t.deepEqual([back([]).status.state, back([]).pods.length], ['Starting', 2]);
    t.is(back(done).status.state, 'Complete');
  });
}

for (const [reason, spec] of REFUSED) {
  test(`a job that is refused ends at its deadline and goes at its time, as any other; not while it is suspended: ${reason}`, (t) => {
    const limits = { activeDeadlineSeconds: 60, ttlSecondsAfterFinished: 30 };
    const both = [pod(0, { phase: 'Running' }), pod(1, { phase: 'Running' })];
    const visit = (
      status: JobStatus | undefined,
      seconds: number,
      parts: Readonly<Record<string, unknown>> = spec,
      pods = both,
    ): ReturnType<typeof decide> =>
      decide(observed({ pods, resource: jobResource({ ...parts, ...limits }, status) }), optionsAfter(seconds));
    const before = visit(undefined, 0, {}).status;
    const refused = visit(before, 1);
    t.deepEqual([refused.status.state, refused.requeueAfterMs], ['Invalid', 59_000]);
    const late = visit(refused.status, 60);
    t.deepEqual([late.status.state, late.status.reason, late.deletePods.length], ['Failed', 'DeadlineExceeded', 2]);
    t.false(visit(late.status, 89).deleteJob);
    t.true(visit(late.status, 90).deleteJob);

    const suspended = visit(refused.status, 2, { ...spec, suspend: true });
    t.deepEqual([suspended.status.state, suspended.requeueAfterMs], ['Suspended', undefined]);
    t.is(visit(suspended.status, 900, { ...spec, suspend: true }).status.state, 'Suspended');
    const resumed = visit(suspended.status, 900, spec, []);
    t.deepEqual([resumed.status.state, resumed.requeueAfterMs], ['Invalid', 60_000], 'its time begins anew');
    t.is(visit(resumed.status, 960, spec, []).status.reason, 'DeadlineExceeded');
  });
}

test('the deadline of a job that is invalid without pods: none before it was once valid, none that is itself no time', (t) => {
  const visit = (
    spec: Readonly<Record<string, unknown>>,
    status: JobStatus | undefined,
    seconds: number,
  ): ReturnType<typeof decide> =>
    decide(observed({ plan: undefined, resource: jobResource(spec, status) }), optionsAfter(seconds));
  const invalid = { devices: { min: 4, max: 2 }, activeDeadlineSeconds: 60 };
  const never = visit(invalid, undefined, 0);
  t.deepEqual([never.status.startTime, never.requeueAfterMs], [undefined, undefined]);
  t.is(visit(invalid, never.status, 900).status.state, 'Invalid');
  const searching = visit({ activeDeadlineSeconds: 60 }, undefined, 0).status;
  t.is(visit(invalid, searching, 59).status.state, 'Invalid');
  t.is(visit(invalid, searching, 60).status.state, 'Failed');
  t.is(visit({ ...invalid, suspend: true }, searching, 60).status.state, 'Invalid', 'nothing is late while suspended');
  for (const activeDeadlineSeconds of [0, -1, 1.5, '60', null])
    t.is(visit({ activeDeadlineSeconds }, searching, 900).status.state, 'Invalid', String(activeDeadlineSeconds));
});

test('fields that the API server took out of what was applied are told, and the job goes on', (t) => {
  const applied = (annotation: string): ReturnType<typeof decide> => {
    const { metadata, ...rest } = jobResource();
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': annotation };
    return decide(observed({ resource: { ...rest, metadata: { ...metadata, annotations } } }), optionsAfter(0));
  };
  const told = ({ status, events }: ReturnType<typeof decide>): unknown[] => {
    const {
      status: value,
      reason = '',
      message = '',
    } = status.conditions.find(({ type }) => type === 'Accepted') ?? {};
    return [value, reason, events.find((event) => event.reason === reason)?.type, message];
  };
  const { training, ...spec } = Object(jobResource().spec);
  const typed = { ...jobResource(), spec: { ...spec, training: { ...training, momentun: 1 }, backofLimit: 2 } };
  const decision = applied(JSON.stringify({ ...typed, status: undefined }));
  const [value, reason, event, message] = told(decision);
  t.deepEqual([value, reason, event, decision.pods.length], ['True', 'UnknownFields', 'Warning', 2]);
  t.regex(String(message), /spec\.backofLimit: unknown field.*did you mean backoffLimit\?/);
  t.regex(String(message), /spec\.training\.momentun: unknown field/);
  for (const text of [JSON.stringify({ ...jobResource(), status: undefined }), '{', 'null', '[]'])
    t.deepEqual(told(applied(text)).slice(0, 3), ['True', 'Valid', 'Normal'], text);
});

test('a spec that is refused before there are pods stays so, suspended or not', (t) => {
  const resource = jobResource({ devices: { min: 4, max: 2 }, suspend: true });
  t.is(decide(observed({ resource, plan: undefined }), optionsAfter(0)).status.state, 'Invalid');
});

test('a cluster that takes pods away again and again is asked less often, up to half a minute', (t) => {
  const pause = (failures: JobStatus['failures']): number | undefined => {
    const status = { attempt: 9, failures, restartTime: NOW.toISOString() };
    return decide(observed({ resource: jobResource({ backoffLimit: 100 }, status) }), optionsAfter(0)).requeueAfterMs;
  };
  t.deepEqual(
    [{ Preempted: 1 }, { Preempted: 2, Evicted: 2 }, { NodeLost: 50 }, { Crashed: 3 }, { Crashed: 50 }].map(pause),
    [1000, 8000, 30_000, 4000, 300_000],
  );
});

test('the network policy lets the scraper and the controller read metrics, and the pods of the job reach each other', (t) => {
  const policy = decide(observed(), optionsAfter(0)).children.find(({ kind }) => kind === 'NetworkPolicy');
  const within = (name: string): object => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
  });
  const controller = {
    ...within('soapstone-system'),
    podSelector: {
      matchLabels: { 'app.kubernetes.io/name': 'soapstone', 'app.kubernetes.io/component': 'controller' },
    },
  };
  const peers = { podSelector: { matchLabels: { 'soapstone.dev/job': 'job' } } };
  const { spec }: { spec?: { ingress?: unknown } } = Object(policy);
  t.deepEqual(spec?.ingress, [
    { _from: [peers] },
    { _from: [within('monitoring'), controller], ports: [{ port: 9400, protocol: 'TCP' }] },
  ]);
});

test("the policy means the controller's pods by the labels that the chart gives them", async (t) => {
  const helpers = await readFile(new URL('../../charts/soapstone/templates/_helpers.tpl', import.meta.url), 'utf8');
  const labels = /define "soapstone.selectorLabels" -}}(.*?){{- end }}/s.exec(helpers)?.[1] ?? '';
  for (const line of ['app.kubernetes.io/name: soapstone', 'app.kubernetes.io/component: controller'])
    t.true(labels.includes(line), line);
});

test('every reason is given by some rule', async (t) => {
  const folder = new URL('../../operator/decide/', import.meta.url);
  const files = (await readdir(folder, { recursive: true })).filter(
    (file) => file.endsWith('.ts') && file !== 'reasons.ts',
  );
  const code = (await Promise.all(files.map((file) => readFile(new URL(file, folder), 'utf8')))).join('\n');
  for (const reason of Object.keys(REASONS)) t.true(code.includes(`'${reason}'`), reason);
});

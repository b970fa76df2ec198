import { readdir, readFile } from 'node:fs/promises';
import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import type { JobStatus } from '../../operator/api/resource.ts';
import { decide } from '../../operator/decide/decide.ts';
import { podTrouble } from '../../operator/decide/pod-trouble.ts';
import { REASONS } from '../../operator/decide/reasons.ts';
import type { ApplyFailure, Observed } from '../../operator/decide/types.ts';
import { discoverCluster } from '../../operator/discovery/discover.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/graph/loss.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { findPlan } from '../../soap/search/find-plan.ts';
import { NOW, optionsAfter } from '../support/decide-options.ts';
import { gpuNode, jobResource } from '../support/kubernetes.ts';

const NODES = [gpuNode('a', 1), gpuNode('b', 1)];
const SETTINGS = { resource: 'nvidia.com/gpu', min: 2, max: 4, nodeSelector: {}, tolerations: [] };
const { cluster } = discoverCluster(NODES, [], SETTINGS, () => false);
const { plan } = findPlan(
  { training: attachLoss(lenet(16), 'crossEntropy'), cluster: createCluster(cluster), costs: createRooflineCosts() },
  { seconds: 60, proposals: 1, seed: 1, beta: 20, chains: 1, start: ['data'] },
  { nowMs: () => 0 },
);

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
  [403, 'pods is forbidden: violates PodSecurity "restricted:latest"', 'CreationForbidden'],
  [422, 'Pod "job-0-0" is invalid: spec.containers[0].image: Required value', 'InvalidPod'],
  [500, 'etcdserver: request timed out', 'CreationFailed'],
  [undefined, 'connect ECONNREFUSED', 'CreationFailed'],
  [undefined, 'ConfigMap default/job-plan is there already', 'NameTaken', true],
];

for (const [code, message, reason, nameTaken = false] of CREATIONS) {
  test(`an object that cannot be created: ${code ?? 'no answer'}: ${reason}`, (t) => {
    const { status, pods } = decide(observed({ applyError: { code, message, nameTaken } }), optionsAfter(0));
    t.deepEqual([status.state, status.reason, status.message], ['Starting', reason, message]);
    t.is(pods.length, 2, 'it is tried again');
  });
}

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
    'pod job-0-0 failed with exit code 1: the process of device 1 was killed by SIGSEGV in step 4; start the job again; ' +
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
  const refused = [
    { model: { builtin: { name: 'alexnet' } } },
    { dataset: { synthetic: { samples: 128 } } },
    { training: { ...training, batchSize: 32 } },
    { training: { ...training, optimizer: { name: 'adam', learningRate: 0.1 } } },
    { storage: { emptyDir: {} } },
    { devices: { ...spec.devices, resource: 'amd.com/gpu' } },
  ];
  for (const parts of refused) {
    const decision = changed(parts);
    t.deepEqual(
      [decision.status.state, decision.status.reason],
      ['Invalid', 'ImmutableFieldChanged'],
      Object.keys(parts)[0],
    );
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
  const older = { ...status, identity: '0.0.1:of another version' };
  const upgraded = decide(observed({ resource: jobResource({}, older) }), optionsAfter(1));
  t.deepEqual([upgraded.pods.length, upgraded.status.identity], [2, status.identity], 'an upgrade is no change');
  const before = decide(observed({ plan: undefined }), optionsAfter(0)).status;
  const resource = jobResource({ model: { builtin: { name: 'alexnet' } } }, before);
  t.is(
    decide(observed({ plan: undefined, resource }), optionsAfter(1)).status.state,
    'Searching',
    'before it has pods',
  );
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

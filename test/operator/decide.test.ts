import { isDeepStrictEqual } from 'node:util';
import type { V1NetworkPolicy, V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import * as fc from 'fast-check';
import type { Condition, ConditionType, FailureClass, JobState } from '../../operator/api/resource.ts';
import type { DecideOptions, Decision, Observed } from '../../operator/decide/types.ts';
import { decide } from '../../operator/decide/decide.ts';
import { discoverCluster } from '../../operator/discovery/discover.ts';
import { planOn } from '../support/attempt.ts';
import { NOW, optionsAfter } from '../support/decide-options.ts';
import { gpuNode, jobResource } from '../support/kubernetes.ts';

const OPTIONS = optionsAfter(0);
const NODES = [gpuNode('a', 1), gpuNode('b', 1)];
const SETTINGS = { resource: 'nvidia.com/gpu', min: 2, max: 4, nodeSelector: {}, tolerations: [] };
const plan = planOn(NODES);

function observed(parts: Partial<Observed> = {}): Observed {
  return {
    resource: jobResource(),
    nodes: NODES,
    pods: [],
    plan: undefined,
    search: { kind: 'none' },
    applyError: undefined,
    ...parts,
  };
}

/** A pod that left a sentence at its end. */
function saying(ended: V1Pod, message: string): V1Pod {
  const [container] = ended.status?.containerStatuses ?? [];
  const state = { terminated: { exitCode: 0, message: `${message}\n` } };
  return { ...ended, status: { ...ended.status, containerStatuses: [{ ...container!, state }] } };
}

function pod(index: number, phase: string, attempt: number = 0): V1Pod {
  return {
    metadata: {
      name: `job-${attempt}-${index}`,
      namespace: 'default',
      labels: { 'soapstone.dev/job': 'job', 'soapstone.dev/attempt': String(attempt) },
      ownerReferences: [{ apiVersion: 'x', kind: 'TrainingJob', name: 'job', uid: 'job-uid' }],
    },
    status: {
      phase,
      containerStatuses: [
        {
          name: 'worker',
          image: '',
          imageID: '',
          ready: true,
          restartCount: 0,
          state: { terminated: { exitCode: 3 } },
        },
      ],
    },
  };
}

const running = [pod(0, 'Running'), pod(1, 'Running')];

interface Case {
  readonly title: string;
  readonly observed: Observed;
  readonly state: JobState;
  /** Type, status and reason of the condition that tells. */
  readonly condition: readonly [ConditionType, Condition['status'], string];
  readonly message?: RegExp;
}

const CASES: readonly Case[] = [
  {
    title: 'an invalid spec is refused with all its problems',
    observed: observed({ resource: jobResource({ devices: { min: 4, max: 2 }, bogus: 1 }) }),
    state: 'Invalid',
    condition: ['Accepted', 'False', 'InvalidSpec'],
    message: /bogus/,
  },
  {
    title: 'too few devices make it wait, and say which nodes were left out',
    observed: observed({ nodes: [gpuNode('a', 1), gpuNode('b', 1, {}, { unschedulable: true })] }),
    state: 'WaitingForDevices',
    condition: ['TopologyDiscovered', 'False', 'InsufficientDevices'],
    message: /1 free devices.*b: cordoned/,
  },
  {
    title: 'enough devices start a search',
    observed: observed(),
    state: 'Searching',
    condition: ['PlanFound', 'Unknown', 'Searching'],
  },
  {
    title: 'a failed search fails the job with its sentence',
    observed: observed({ search: { kind: 'failed', message: 'model.onnx is truncated' } }),
    state: 'Failed',
    condition: ['Failed', 'True', 'SearchFailed'],
    message: /truncated/,
  },
  {
    title: 'a found plan starts pods',
    observed: observed({ search: { kind: 'found', plan } }),
    state: 'Starting',
    condition: ['PlanFound', 'True', 'PlanFound'],
  },
  {
    title: 'running pods make it Running',
    observed: observed({ plan, pods: running }),
    state: 'Running',
    condition: ['PodsReady', 'True', 'AllRunning'],
  },
  {
    title: 'pods that all succeeded make it Complete',
    observed: observed({ plan, pods: [pod(0, 'Succeeded'), pod(1, 'Succeeded')] }),
    state: 'Complete',
    condition: ['Complete', 'True', 'TrainingComplete'],
  },
  {
    title: 'what a pod says at its end is told with the end of the job',
    observed: observed({
      plan,
      pods: [saying(pod(0, 'Succeeded'), 'its last attempt trained no step'), pod(1, 'Succeeded')],
    }),
    state: 'Complete',
    condition: ['Complete', 'True', 'TrainingComplete'],
    message: /^trained in 1 attempt; its last attempt trained no step$/,
  },
  {
    title: 'a failed pod restarts all of them',
    observed: observed({ plan, pods: [pod(0, 'Failed'), pod(1, 'Running')] }),
    state: 'Restarting',
    condition: ['PodsReady', 'False', 'Crashed'],
    message: /job-0-0 failed with exit code 3/,
  },
  {
    title: 'too many failures fail the job',
    observed: observed({
      plan,
      resource: jobResource({ backoffLimit: 0 }),
      pods: [pod(0, 'Failed'), pod(1, 'Running')],
    }),
    state: 'Failed',
    condition: ['Failed', 'True', 'BackoffLimitExceeded'],
  },
  {
    title: 'suspend stops it',
    observed: observed({ plan, resource: jobResource({ suspend: true }), pods: running }),
    state: 'Suspended',
    condition: ['Suspended', 'True', 'SuspendRequested'],
  },
  {
    title: 'children that cannot be created are told',
    observed: observed({ plan, applyError: { code: 403, message: 'the API server answered 403: exceeded quota' } }),
    state: 'Starting',
    condition: ['PodsReady', 'False', 'QuotaExceeded'],
    message: /quota/,
  },
];

for (const { title, observed: seen, state, condition, message } of CASES) {
  test(title, (t) => {
    const { status, events } = decide(seen, OPTIONS);
    t.is(status.state, state);
    const [type, value, reason] = condition;
    const found = status.conditions.find((candidate) => candidate.type === type);
    t.is(found?.status, value);
    t.is(found?.reason, reason);
    t.is(found?.observedGeneration, 1);
    if (message !== undefined) t.regex(found?.message ?? '', message);
    t.true(
      events.some((event) => event.reason === reason),
      'a change is told as an event',
    );
  });
}

test('a search is started once, with what was discovered', (t) => {
  t.is(decide(observed(), OPTIONS).startSearch?.cluster.devices.length, 2);
  t.is(decide(observed({ search: { kind: 'running' } }), OPTIONS).startSearch, undefined);
});

test('a plan gives one pod for each node, bound to it, restricted, with the token mounted', (t) => {
  const { pods, children, secrets } = decide(observed({ plan }), OPTIONS);
  t.deepEqual(secrets, ['token']);
  t.deepEqual(
    children.map(({ kind }) => kind),
    ['ConfigMap', 'Service', 'NetworkPolicy'],
  );
  t.deepEqual(
    pods.map(({ metadata }) => metadata.name),
    ['job-0-0', 'job-0-1'],
  );
  const text = JSON.stringify(pods);
  for (const part of [
    '"kubernetes.io/hostname":"a"',
    '"kubernetes.io/hostname":"b"',
    '"runAsNonRoot":true',
    '"secretName":"job-0-token-job-uid"',
    '"nvidia.com/gpu":"1"',
  ]) {
    t.true(text.includes(part), part);
  }
});

test('pods select nodes by the name of the host, which may not be that of the node', (t) => {
  const nodes = [gpuNode('a', 1, { 'kubernetes.io/hostname': 'ip-10-0-0-1' }), gpuNode('b', 1)];
  const { pods } = decide(observed({ plan, nodes }), OPTIONS);
  t.deepEqual(
    pods.map(({ spec }: V1Pod) => spec?.nodeSelector),
    [{ 'kubernetes.io/hostname': 'ip-10-0-0-1' }, { 'kubernetes.io/hostname': 'b' }],
  );
});

test('pods have the user of the image, or that of their template, or none where the cluster is to give them one', (t) => {
  const usersOf = (template: object, options: Partial<DecideOptions> = {}): unknown[] => {
    const { pods } = decide(observed({ plan, resource: jobResource({ template }) }), { ...OPTIONS, ...options });
    const { spec }: V1Pod = { ...pods[0] };
    const { runAsNonRoot, runAsUser, runAsGroup, fsGroup } = spec?.securityContext ?? {};
    return [runAsNonRoot, runAsUser, runAsGroup, fsGroup];
  };
  t.deepEqual(usersOf({}), [true, 65532, 65532, 65532]);
  const template = { spec: { securityContext: { runAsUser: 1000 } } };
  t.deepEqual(usersOf(template), [true, 1000, 65532, 65532]);
  t.deepEqual(usersOf(template, { fixedUser: false }), [true, 1000, undefined, undefined]);
  t.deepEqual(usersOf({}, { fixedUser: false }), [true, undefined, undefined, undefined]);
});

test('pods may ask for names on the ports where servers of the cluster listen', (t) => {
  const { children } = decide(observed({ plan }), { ...OPTIONS, dnsPorts: [53, 5353] });
  const policy: V1NetworkPolicy = { ...children.find(({ kind }) => kind === 'NetworkPolicy') };
  t.deepEqual(policy.spec?.egress?.[1], {
    ports: [
      { port: 53, protocol: 'UDP' },
      { port: 53, protocol: 'TCP' },
      { port: 5353, protocol: 'UDP' },
      { port: 5353, protocol: 'TCP' },
    ],
  });
});

test('a job mounts no secret of one of the same name before it, which may still be there to be collected', (t) => {
  const secretsOf = (uid: string): string[] => {
    const resource = jobResource();
    const { pods } = decide(
      observed({ plan, resource: { ...resource, metadata: { ...resource.metadata, uid } } }),
      OPTIONS,
    );
    return pods.flatMap((each) =>
      [...JSON.stringify(each).matchAll(/"secretName":"([^"]+)"/g)].map(([, name = '']) => name),
    );
  };
  const [before, after] = [secretsOf('0fb7a6c2-0000'), secretsOf('91d2c3aa-0000')];
  t.is(before.length, 2);
  t.deepEqual(
    before.filter((name) => after.includes(name)),
    [],
  );
});

test('with spec.tls the pods mount a certificate of their attempt, and that of the attempt before goes', (t) => {
  const status = { attempt: 1, restartTime: '2026-11-24T11:00:00Z' };
  const { pods, secrets, deleteAttempts } = decide(
    observed({ plan, resource: jobResource({ tls: true }, status) }),
    OPTIONS,
  );
  t.deepEqual(secrets, ['token', 'certificate']);
  t.deepEqual(deleteAttempts, ['job-0-job-uid']);
  t.is(pods.length, 2);
  for (const each of pods) {
    const text = JSON.stringify(each);
    for (const part of [
      '"secretName":"job-1-tls-job-uid","defaultMode":288',
      '"mountPath":"/var/run/soapstone/tls","readOnly":true',
      '"name":"SOAPSTONE_TLS","value":"/var/run/soapstone/tls"',
    ])
      t.true(text.includes(part), part);
  }
});

test('a model that is fetched: a cache for the pods, and a way out of their network to public servers only', (t) => {
  const model = { url: 'https://models.example.com:8443/m.onnx', sha256: 'a'.repeat(64) };
  const resource = jobResource({ model });
  const { pods, children } = decide(observed({ plan, resource }), OPTIONS);
  for (const part of ['"name":"cache","emptyDir":{}', '"name":"SOAPSTONE_CACHE","value":"/var/run/soapstone/cache"'])
    t.true(JSON.stringify(pods[0]).includes(part), part);
  const egress = (objects: readonly object[]): string =>
    objects.map((object) => JSON.stringify(object)).find((text) => text.includes('"NetworkPolicy"')) ?? '';
  t.regex(
    egress(children),
    /"cidr":"0\.0\.0\.0\/0","except":\[[^\]]*"169\.254\.0\.0\/16"[^\]]*"10\.0\.0\.0\/8"[^:]*\]/,
  );
  t.regex(egress(children), /"ports":\[\{"port":8443,"protocol":"TCP"\},\{"port":443,"protocol":"TCP"\}\]/);
  const inside = egress(decide(observed({ plan, resource }), { ...OPTIONS, modelPrivateAddresses: true }).children);
  t.regex(inside, /"169\.254\.0\.0\/16"/);
  t.notRegex(inside, /"10\.0\.0\.0\/8"/);
  t.notRegex(egress(decide(observed({ plan }), OPTIONS).children), /ipBlock/);
});

test('a model that is not there is asked for again, in time and not before; until it is there the condition stays', (t) => {
  const failed = { kind: 'failed', message: 'the server answered 503', retryAtMs: NOW.getTime() + 7000 } as const;
  const waiting = decide(observed({ search: failed }), OPTIONS);
  t.deepEqual(
    [waiting.status.state, waiting.status.reason, waiting.startSearch, waiting.requeueAfterMs],
    ['Searching', 'ModelUnavailable', undefined, 7000],
  );
  t.is(waiting.status.message, 'the server answered 503; it is looked for again at 2026-11-24T12:00:07Z');
  const then = (search: Observed['search']): ReturnType<typeof decide> =>
    decide(observed({ search, resource: jobResource({}, waiting.status) }), optionsAfter(7));
  for (const search of [failed, { kind: 'running', unread: true }] as const) {
    const again = then(search);
    t.is(again.startSearch !== undefined, search === failed);
    t.deepEqual([again.status.reason, again.status.message], ['ModelUnavailable', waiting.status.message]);
    t.false(again.events.some(({ reason }) => reason === 'ModelUnavailable' || reason === 'Searching'));
  }
  t.is(then({ kind: 'running' }).status.reason, 'Searching', 'it is there');
});

test('a model that is asked for again once the tables of costs were read too long ago: the condition stays while they are read', (t) => {
  const failed = { kind: 'failed', message: 'the server answered 503', retryAtMs: NOW.getTime() + 7000 } as const;
  const waiting = decide(observed({ search: failed }), OPTIONS);
  const resource = jobResource({}, waiting.status);
  const again = decide(observed({ search: failed, resource, costs: new Map() }), optionsAfter(7));
  t.is(again.readCosts.length, 1);
  t.deepEqual([again.status.reason, again.status.message], ['ModelUnavailable', waiting.status.message]);
  t.false(again.events.some(({ reason }) => reason === 'ModelUnavailable' || reason === 'Searching'));
});

test('what several conditions say for one reason is told by one event', (t) => {
  const { events } = decide(observed({ search: { kind: 'failed', message: 'no such op' } }), OPTIONS);
  t.deepEqual(
    events.filter(({ reason }) => reason === 'SearchFailed'),
    [{ type: 'Warning', reason: 'SearchFailed', message: 'no such op' }],
  );
  const suspended = decide(observed({ plan, resource: jobResource({ suspend: true }), pods: running }), OPTIONS).events;
  t.deepEqual(
    suspended.filter(({ reason }) => reason === 'SuspendRequested').map(({ message }) => message),
    ['spec.suspend is true; set it to false to go on from the last checkpoint'],
  );
});

test("a failed pod that is not the job's own does not touch it: of another owner, or of another namespace", (t) => {
  const strangers: V1Pod[] = [
    { ...pod(0, 'Failed'), metadata: { ...pod(0, 'Failed').metadata, namespace: 'other' } },
    { ...pod(1, 'Failed'), metadata: { ...pod(1, 'Failed').metadata, name: 'x', ownerReferences: [] } },
  ];
  const { status, deletePods } = decide(observed({ plan, pods: [...running, ...strangers] }), OPTIONS);
  t.deepEqual([status.state, status.failures, deletePods], ['Running', {}, []]);
});

test('a restart deletes the old pods, counts one attempt more, and then makes pods of new names', (t) => {
  const restarted = decide(observed({ plan, pods: [pod(0, 'Failed'), pod(1, 'Running')] }), OPTIONS);
  t.is(restarted.status.attempt, 1);
  t.deepEqual(
    restarted.deletePods.map(({ name }) => name),
    ['job-0-0', 'job-0-1'],
  );
  const later = { ...OPTIONS, now: new Date(NOW.getTime() + 1000) };
  const next = decide(observed({ plan, resource: jobResource({}, restarted.status) }), later);
  t.deepEqual(
    next.pods.map(({ metadata }) => metadata.name),
    ['job-1-0', 'job-1-1'],
  );
});

test('a second visit with nothing new changes neither status nor transition times, and tells no event', (t) => {
  const first = decide(observed({ plan, pods: running }), OPTIONS);
  const later = { ...OPTIONS, now: new Date('2026-11-24T13:00:00Z') };
  const second = decide(observed({ plan, pods: running, resource: jobResource({}, first.status) }), later);
  t.deepEqual(second.status, first.status);
  t.deepEqual(second.events, []);
});

test('a job that has ended is left alone', (t) => {
  const ended = decide(observed({ plan, pods: [pod(0, 'Succeeded'), pod(1, 'Succeeded')] }), OPTIONS);
  const after = decide(observed({ resource: jobResource({}, ended.status), nodes: [] }), OPTIONS);
  t.is(after.status.state, 'Complete');
  t.deepEqual([after.pods, after.children, after.events], [[], [], []]);
  t.true(after.forgetSearch && after.forgetMoveSearch, 'the plan is in its ConfigMap, and nobody follows it any more');
});

/** Pods of attempt 0, of which the first is changed. */
function troubled(status: Partial<NonNullable<V1Pod['status']>>, metadata: V1Pod['metadata'] = {}): V1Pod[] {
  const first = pod(0, 'Running');
  const changed = { ...first, metadata: { ...first.metadata, ...metadata }, status: { ...first.status, ...status } };
  return [changed, pod(1, 'Failed')];
}

const exit = (exitCode: number, reason?: string): Partial<NonNullable<V1Pod['status']>> => {
  const terminated = { exitCode, ...(reason === undefined ? {} : { reason }) };
  const container = { name: 'worker', image: '', imageID: '', ready: false, restartCount: 0, state: { terminated } };
  return { phase: 'Failed', containerStatuses: [container] };
};
const disrupted = (reason: string): Partial<NonNullable<V1Pod['status']>> => ({
  conditions: [{ type: 'DisruptionTarget', status: 'True', reason }],
});
const onNode = (node: string): V1Pod[] =>
  [pod(0, 'Running'), pod(1, 'Failed')].map((each) => ({ ...each, spec: { nodeName: node, containers: [] } }));

/** In each the second pod has failed too, because of the first: the cause counts. */
const FAILURES: readonly (readonly [string, V1Pod[], FailureClass, boolean])[] = [
  ['a crash', troubled(exit(3)), 'Crashed', true],
  ['no data set', troubled(exit(66)), 'FileMissing', false],
  ['out of memory', troubled(exit(137, 'OOMKilled')), 'OutOfMemory', true],
  ['told to stop', troubled(exit(143)), 'Preempted', false],
  ['preempted by the scheduler', troubled(disrupted('PreemptionByScheduler')), 'Preempted', false],
  ['drained', troubled(disrupted('EvictionByEvictionAPI')), 'Evicted', false],
  ['node under pressure', troubled({ phase: 'Failed', reason: 'Evicted', containerStatuses: [] }), 'Evicted', false],
  ['taken by a taint', troubled(disrupted('DeletionByTaintManager')), 'NodeLost', false],
  ['deleted by hand', troubled({}, { deletionTimestamp: NOW }), 'Evicted', false],
  ['node gone', onNode('gone'), 'NodeLost', false],
];

for (const [title, pods, kind, counted] of FAILURES) {
  test(`failure: ${title}: ${kind}, ${counted ? 'counts' : 'does not count'} towards backoffLimit`, (t) => {
    const { status, deletePods } = decide(observed({ plan, pods }), OPTIONS);
    t.deepEqual(status.failures, { [kind]: 1 });
    t.is(status.reason, kind);
    t.is(status.attempt, 1);
    t.true(deletePods.length > 0);
    const strict = decide(observed({ plan, pods, resource: jobResource({ backoffLimit: 0 }) }), OPTIONS);
    t.is(strict.status.state, counted ? 'Failed' : 'Restarting');
  });
}

test('a node that flaps is not lost; one that stays away is', (t) => {
  const pods = onNode('a').map((each) => ({ ...each, status: { phase: 'Running' } }));
  const away = (seconds: number): Observed => {
    const lost = gpuNode('a', 1);
    const since = new Date(NOW.getTime() - 1000 * seconds);
    lost.status!.conditions = [{ type: 'Ready', status: 'Unknown', lastTransitionTime: since }];
    return observed({ plan, pods, nodes: [lost, gpuNode('b', 1)] });
  };
  t.is(decide(away(10), OPTIONS).status.state, 'Running');
  t.is(decide(away(10), OPTIONS).requeueAfterMs, 50_001, 'looked at again when it is lost');
  t.is(decide(away(61), OPTIONS).status.reason, 'NodeLost');
});

const after = (seconds: number): DecideOptions => ({ ...OPTIONS, now: new Date(NOW.getTime() + 1000 * seconds) });

test('new pods wait until the last of the old ones is gone; one on a lost node is deleted by force', (t) => {
  const restarted = decide(observed({ plan, pods: [pod(0, 'Failed'), pod(1, 'Running')] }), OPTIONS);
  const ending = { ...pod(1, 'Running'), spec: { nodeName: 'gone', containers: [] } };
  ending.metadata = { ...ending.metadata, deletionTimestamp: NOW };
  const parts = { plan, pods: [ending], resource: jobResource({}, restarted.status) };
  const waiting = decide(observed(parts), after(10));
  t.deepEqual([waiting.pods, waiting.deletePods, waiting.status.reason], [[], [], 'WaitingForOldPods']);
  t.deepEqual(decide(observed(parts), after(31)).deletePods, [{ name: 'job-0-1', force: true }]);
  t.is(decide(observed({ ...parts, pods: [] }), after(31)).pods.length, 2);
});

test('each failure doubles the pause before the next attempt', (t) => {
  const status = { attempt: 3, failures: { Crashed: 3 }, restartTime: NOW.toISOString() };
  const parts = { plan, resource: jobResource({}, status) };
  t.is(decide(observed(parts), after(3)).status.reason, 'BackingOff');
  t.is(decide(observed(parts), after(3)).requeueAfterMs, 1000);
  t.is(decide(observed(parts), after(4)).pods.length, 2);
});

test('a data set that is not there is looked for every two minutes in the end, and the job says all the while what it lacks', (t) => {
  const status = exit(66);
  const message = "soapstone: device 0, cannot read 'data.idx' in /storage: there is no such file";
  Object.assign(status.containerStatuses![0]!.state!.terminated!, { message });
  const pods = [{ ...pod(0, 'Failed', 9), status }, pod(1, 'Running', 9)];
  const before = { attempt: 9, failures: { FileMissing: 9 } };
  const given = decide(observed({ plan, pods, resource: jobResource({ backoffLimit: 0 }, before) }), OPTIONS);
  const lacks = "pod job-9-0 lacks a file: device 0, cannot read 'data.idx' in /storage: there is no such file";
  t.like(given.status, {
    state: 'Restarting',
    reason: 'FileMissing',
    lastFailure: lacks,
    failures: { FileMissing: 10 },
  });
  const parts = { plan, resource: jobResource({ backoffLimit: 0 }, given.status) };
  const paused = decide(observed(parts), after(60));
  t.like(paused.status, { reason: 'BackingOff', message: `attempt 10 starts in 60 s: ${lacks}` });
  t.is(decide(observed(parts), after(120)).pods.length, 2);
});

test('a plan whose nodes are gone is made anew for those that are left, between min and max', (t) => {
  const resource = jobResource({ devices: { min: 1, max: 2 } }, { attempt: 1 });
  const { startSearch, pods } = decide(observed({ plan, resource, nodes: [gpuNode('b', 1)] }), OPTIONS);
  t.deepEqual([startSearch?.cluster.devices.map(({ node }) => node), pods.length], [['b'], 0]);
  const stale = decide(observed({ resource, nodes: [gpuNode('b', 1)], search: { kind: 'found', plan } }), OPTIONS);
  t.deepEqual([stale.forgetSearch, stale.status.reason], [true, 'PlanOutdated']);
});

test('pods that are not all placed within the deadline are given back, all of them', (t) => {
  const pods = [0, 1].map((index) => {
    const each = pod(index, 'Pending');
    each.metadata = { ...each.metadata, creationTimestamp: NOW };
    each.status = { phase: 'Pending' };
    return { ...each, spec: { containers: [], ...(index === 0 ? { nodeName: 'a' } : {}) } };
  });
  const before = decide(observed({ plan, pods }), after(299));
  t.deepEqual([before.deletePods, before.requeueAfterMs], [[], 1000]);
  const late = decide(observed({ plan, pods }), after(300));
  t.deepEqual([late.deletePods.length, late.forgetSearch, late.status.reason], [2, true, 'NotPlaced']);
});

test('suspend counts an attempt, so that going on never meets the old pods', (t) => {
  const stopped = decide(observed({ plan, pods: running, resource: jobResource({ suspend: true }) }), OPTIONS);
  t.deepEqual([stopped.status.attempt, stopped.deletePods.length], [1, 2]);
  const resumed = decide(observed({ plan, resource: jobResource({}, stopped.status) }), OPTIONS);
  t.deepEqual(
    resumed.pods.map(({ metadata }) => metadata.name),
    ['job-1-0', 'job-1-1'],
  );
});

test('activeDeadlineSeconds fails the job and deletes what runs; the visit before it is at the deadline', (t) => {
  const resource = jobResource({ activeDeadlineSeconds: 60 }, { startTime: NOW.toISOString() });
  const before = decide(observed({ plan, pods: running, resource }), after(59));
  t.deepEqual([before.status.state, before.requeueAfterMs], ['Running', 1000]);
  const late = decide(observed({ plan, pods: running, resource }), after(60));
  t.deepEqual([late.status.state, late.status.reason, late.deletePods.length], ['Failed', 'DeadlineExceeded', 2]);
});

test('ttlSecondsAfterFinished deletes the job that long after its end', (t) => {
  const { status } = decide(observed({ plan, pods: [pod(0, 'Succeeded'), pod(1, 'Succeeded')] }), OPTIONS);
  const resource = jobResource({ ttlSecondsAfterFinished: 60 }, status);
  const before = decide(observed({ resource }), after(59));
  t.deepEqual([before.deleteJob, before.requeueAfterMs], [false, 1000]);
  t.true(decide(observed({ resource }), after(60)).deleteJob);
});

/** The pods of a queued job as the API server has them, with the gates that are left. */
function queuedPods(gates: readonly string[], selector: Readonly<Record<string, string>>): V1Pod[] {
  return [0, 1].map((index) => ({
    ...pod(index, 'Pending'),
    status: { phase: 'Pending' },
    spec: { containers: [], schedulingGates: gates.map((name) => ({ name })), nodeSelector: { ...selector } },
  }));
}

test('a queued job waits gated; admitted to its nodes it starts, to others it is planned anew', (t) => {
  const resource = jobResource();
  resource.metadata.labels = { 'kueue.x-k8s.io/queue-name': 'team' };
  const created = decide(observed({ plan, resource }), OPTIONS).pods;
  const text = JSON.stringify(created[0]);
  for (const part of ['"kueue.x-k8s.io/queue-name":"team"', '"kueue.x-k8s.io/pod-group-name":"job-0"', '"2"'])
    t.true(text.includes(part), part);
  t.true(text.includes('"kueue.x-k8s.io/retriable-in-group":"false"'), 'or the queue keeps pods that have failed');
  t.true(text.includes('"schedulingGates":[{"name":"soapstone.dev/plan"}]'));

  const held = queuedPods(['soapstone.dev/plan', 'kueue.x-k8s.io/admission'], {});
  t.deepEqual([decide(observed({ plan, resource, pods: held }), OPTIONS).status.state], ['Queued']);
  const nodes = [
    gpuNode('a', 1, { pool: 'spot' }),
    gpuNode('b', 1, { pool: 'spot' }),
    gpuNode('c', 2, { pool: 'best' }),
  ];
  const same = queuedPods(['soapstone.dev/plan'], { pool: 'spot' });
  const admitted = decide(observed({ plan, resource, nodes, pods: same }), OPTIONS);
  const placements = [
    { name: 'job-0-0', hostname: 'a' },
    { name: 'job-0-1', hostname: 'b' },
  ];
  t.deepEqual(admitted.ungatePods, placements);
  const applyError = { code: 422, message: 'a pod selects another node already' };
  const refused = decide(observed({ plan, resource, nodes, pods: same, applyError }), OPTIONS);
  t.like(refused, { ungatePods: placements, status: { reason: 'InvalidPod', message: applyError.message } });
  const other = queuedPods(['soapstone.dev/plan'], { pool: 'best' });
  const moved = decide(observed({ plan, resource, nodes, pods: other }), OPTIONS);
  t.deepEqual([moved.ungatePods, moved.deletePods.length, moved.forgetSearch], [[], 2, true]);
  const again = { ...resource, status: moved.status };
  const { startSearch } = decide(observed({ plan, resource: again, nodes }), after(1));
  t.deepEqual(
    startSearch?.cluster.devices.map(({ node }) => node),
    ['c', 'c'],
  );
});

test('pods of a queued job select their nodes at once where the queue takes so many kinds of pods, else as the gate is lifted', (t) => {
  const selected = (count: number, labels: Record<string, string>): unknown[] => {
    const names = Array.from({ length: count }, (_, i) => `node-${i}`);
    const nodes = names.map((name) => gpuNode(name, 1));
    const settings = { ...SETTINGS, min: count, max: count };
    const wide = { ...plan, cluster: discoverCluster(nodes, [], settings, () => false).cluster };
    const resource = jobResource({ devices: { min: count, max: count, nodeSelector: { pool: 'x' } } });
    resource.metadata.labels = labels;
    const options = nodes.map((node) => ({
      ...node,
      metadata: { ...node.metadata, labels: { ...node.metadata?.labels, pool: 'x' } },
    }));
    const { pods } = decide(observed({ plan: wide, nodes: options, resource }), OPTIONS);
    return pods.map((each) => Object(each).spec.nodeSelector);
  };
  const queue = { 'kueue.x-k8s.io/queue-name': 'team' };
  const each = (count: number): object[] =>
    Array.from({ length: count }, (_, i) => ({ pool: 'x', 'kubernetes.io/hostname': `node-${i}` }));
  t.deepEqual(selected(8, queue), each(8));
  t.deepEqual(
    selected(9, queue),
    each(9).map(() => ({ pool: 'x' })),
  );
  t.deepEqual(selected(9, {}), each(9));
});

/** A pod of a former attempt that is being deleted and that the queue keeps, changed as a test says. */
function heldPod(index: number, metadata: V1Pod['metadata'] = {}, phase: string = 'Pending'): V1Pod {
  const base = pod(index, phase);
  const labels = { ...base.metadata?.labels, 'kueue.x-k8s.io/pod-group-name': 'job-0' };
  const deleted = { deletionTimestamp: NOW, deletionGracePeriodSeconds: 0, finalizers: ['kueue.x-k8s.io/managed'] };
  return { ...base, metadata: { ...base.metadata, labels, ...deleted, ...metadata } };
}

test('deleted pods that never end are held by their queue until their Workload is deleted', (t) => {
  const parts = { plan, resource: jobResource({}, { attempt: 1 }), pods: [heldPod(0), heldPod(1)] };
  const waiting = decide(observed(parts), OPTIONS);
  t.deepEqual([waiting.status.reason, waiting.deleteWorkloads], ['WaitingForOldPods', ['job-0']]);
  for (const spec of [{ suspend: true }, { bogus: 1 }, { activeDeadlineSeconds: 1 }]) {
    const resource = jobResource(spec, { attempt: 1, startTime: new Date(NOW.getTime() - 2000).toISOString() });
    t.deepEqual(decide(observed({ ...parts, resource }), OPTIONS).deleteWorkloads, ['job-0'], JSON.stringify(spec));
  }
  const applyError = { code: 403, message: 'Kueue holds pods' };
  t.regex(decide(observed({ ...parts, applyError }), OPTIONS).status.message, /job-0-1 .*to end; Kueue holds pods$/);
  const free: readonly (readonly [string, V1Pod])[] = [
    ['it is writing its checkpoint', heldPod(0, { deletionGracePeriodSeconds: 120 }, 'Running')],
    ['it has ended: the queue lets it go with the others', heldPod(0, {}, 'Failed')],
    ['no queue holds it', heldPod(0, { finalizers: ['example.com/x'] })],
    ['it is of another namespace', heldPod(0, { namespace: 'other' })],
  ];
  for (const [title, each] of free)
    t.deepEqual(decide(observed({ ...parts, pods: [each] }), OPTIONS).deleteWorkloads, [], title);
});

test('the nodes that a queue chose once bind only the plan that is made for them', (t) => {
  const admitted = { pool: 'spot' };
  const nodes = [
    gpuNode('a', 1, { pool: 'best' }),
    gpuNode('b', 1, { pool: 'best' }),
    gpuNode('c', 2, { pool: 'spot' }, { unschedulable: true }),
  ];
  const crashed = [pod(0, 'Failed'), pod(1, 'Running')];
  const restarted = decide(observed({ plan, nodes, pods: crashed, resource: jobResource({}, { admitted }) }), OPTIONS);
  t.deepEqual([restarted.status.attempt, restarted.status.admitted], [1, undefined]);
  const again = decide(observed({ plan, nodes, resource: jobResource({}, restarted.status) }), after(1));
  t.deepEqual([again.status.state, again.pods.length], ['Starting', 2]);
  const suspended = jobResource({ suspend: true }, { admitted });
  t.is(decide(observed({ plan, nodes, resource: suspended }), OPTIONS).status.admitted, undefined);
  const full = decide(observed({ nodes, resource: jobResource({}, { attempt: 1, admitted }) }), after(1));
  t.deepEqual(
    [full.status.admitted, full.startSearch?.cluster.devices.map(({ node }) => node)],
    [undefined, ['a', 'b']],
    'full before the plan for them is made',
  );
});

test('memory that no plan fits into fails a new job, and makes one that lost nodes wait for more', (t) => {
  const search = { kind: 'failed', message: 'no plan fits', infeasible: true } as const;
  t.is(decide(observed({ search }), OPTIONS).status.reason, 'InfeasibleMemory');
  t.is(decide(observed({ search }), OPTIONS).status.state, 'Failed');
  const waiting = decide(observed({ search, resource: jobResource({}, { attempt: 1, devices: 2 }) }), OPTIONS);
  t.deepEqual([waiting.status.state, waiting.forgetSearch], ['WaitingForDevices', false]);
  const more = decide(observed({ search, resource: jobResource({}, { attempt: 1, devices: 1 }) }), OPTIONS);
  t.true(more.forgetSearch);
});

test('a plan that the job gives is kept while its nodes are not free', (t) => {
  const resource = jobResource({ plan: 'plan.json' });
  const search = { kind: 'found', plan } as const;
  t.is(decide(observed({ resource, search }), OPTIONS).pods.length, 2);
  const waiting = decide(observed({ resource, search, nodes: [gpuNode('b', 4)] }), OPTIONS);
  t.deepEqual([waiting.forgetSearch, waiting.status.reason], [false, 'PlanNodesMissing']);
});

/** Pods as nobody expects them: any phase, any attempt, half of their fields missing. */
const anyPod = fc.record({
  index: fc.nat(2),
  attempt: fc.nat(3),
  phase: fc.constantFrom('Pending', 'Running', 'Succeeded', 'Failed', 'Unknown', undefined),
  node: fc.constantFrom('a', 'b', 'gone', undefined),
  deleted: fc.boolean(),
});

/** Whether a visit changes nothing that the one before has not changed. */
function agrees(decision: Decision, before: Decision): boolean {
  return decision.events.length === 0 && isDeepStrictEqual(decision, { ...before, events: [] });
}

/** More visits than there are attempts of pods: each may count one. */
const VISITS = 8;

test('whatever pods there are: at most one attempt is started, never beside pods of another, and a second visit agrees', (t) => {
  const property = fc.property(
    fc.array(anyPod, { maxLength: 6 }),
    fc.nat(3),
    fc.boolean(),
    (parts, attempt, suspend) => {
      const pods = parts.map(({ index, attempt: number, phase, node, deleted }) => {
        const each = pod(index, 'Running', number);
        const spec = { containers: [], ...(node === undefined ? {} : { nodeName: node }) };
        const metadata = { ...each.metadata, ...(deleted ? { deletionTimestamp: NOW } : {}) };
        return { ...each, metadata, spec, status: phase === undefined ? {} : { ...each.status, phase } };
      });
      const resource = jobResource({ suspend }, { attempt });
      const decision = decide(observed({ plan, pods, resource }), OPTIONS);
      const started = new Set(decision.pods.map(({ metadata }) => metadata.labels?.['soapstone.dev/attempt']));
      t.true(started.size <= 1);
      const others = pods.filter(({ metadata }) => !started.has(metadata?.labels?.['soapstone.dev/attempt'] ?? ''));
      const current = pods.length - others.length;
      if (started.size === 1 && current === 0) t.is(others.length, 0);
      if (suspend) t.is(decision.pods.length, 0);
      const visits = [decision];
      for (let i = 1; i < VISITS; i++) {
        const again = { ...resource, status: visits.at(-1)!.status };
        visits.push(decide(observed({ plan, pods, resource: again }), OPTIONS));
      }
      const rest = visits.findIndex((each, i) => i > 0 && agrees(each, visits[i - 1]!));
      // Where it counts an attempt, the next visit is one of the new attempt, which may have pods too.
      if (decision.status.attempt === attempt) t.is(rest, 1);
      t.true(rest > 0, 'visits come to rest');
    },
  );
  fc.assert(property, { numRuns: 300 });
});

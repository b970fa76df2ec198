import type { V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import type { Condition, ConditionType, JobState } from '../../operator/api/resource.ts';
import type { Observed } from '../../operator/decide/decide.ts';
import { decide } from '../../operator/decide/decide.ts';
import { discoverCluster } from '../../operator/discovery/discover.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/graph/loss.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { findPlan } from '../../soap/search/find-plan.ts';
import { gpuNode, jobResource } from '../support/kubernetes.ts';

const NOW = new Date('2026-11-24T12:00:00Z');
const OPTIONS = { now: NOW, image: 'soapstone:test' };
const NODES = [gpuNode('a', 1), gpuNode('b', 1)];
const SETTINGS = { resource: 'nvidia.com/gpu', min: 2, max: 4, nodeSelector: {}, tolerations: [] };

const { cluster } = discoverCluster(NODES, [], SETTINGS, () => false);
const { plan } = findPlan(
  { training: attachLoss(lenet(16), 'crossEntropy'), cluster: createCluster(cluster), costs: createRooflineCosts() },
  { seconds: 60, proposals: 5, seed: 1, beta: 20, chains: 1, start: ['data'] },
  { nowMs: () => 0 },
);

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
    title: 'a failed pod restarts all of them',
    observed: observed({ plan, pods: [pod(0, 'Failed'), pod(1, 'Running')] }),
    state: 'Starting',
    condition: ['PodsReady', 'False', 'Restarting'],
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
    observed: observed({ plan, applyError: 'the API server answered 403: exceeded quota' }),
    state: 'Starting',
    condition: ['PodsReady', 'False', 'CreationFailed'],
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
  const { pods, children, needsToken } = decide(observed({ plan }), OPTIONS);
  t.true(needsToken);
  t.deepEqual(
    children.map(({ kind }) => kind),
    ['ConfigMap', 'Service'],
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
    '"secretName":"job-token"',
    '"nvidia.com/gpu":"1"',
  ]) {
    t.true(text.includes(part), part);
  }
});

test('a restart deletes the old pods, counts one attempt more, and then makes pods of new names', (t) => {
  const restarted = decide(observed({ plan, pods: [pod(0, 'Failed'), pod(1, 'Running')] }), OPTIONS);
  t.is(restarted.status.attempt, 1);
  t.deepEqual(restarted.deletePods, ['job-0-0', 'job-0-1']);
  const next = decide(observed({ plan, resource: jobResource({}, restarted.status) }), OPTIONS);
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
});

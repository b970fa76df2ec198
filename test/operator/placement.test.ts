import type { V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import { decide } from '../../operator/decide/decide.ts';
import type { Decision, Observed } from '../../operator/decide/types.ts';
import { attemptPod, planOn } from '../support/attempt.ts';
import { NOW, optionsAfter } from '../support/decide-options.ts';
import { gpuNode, jobResource } from '../support/kubernetes.ts';

const NODES = [gpuNode('a', 1), gpuNode('b', 1)];
const PLAN = planOn(NODES);
const QUOTA = { code: 403, message: 'pods "job-0-1" is forbidden: exceeded quota: gpus' };

type Status = NonNullable<V1Pod['status']>;

function visit(seconds: number, parts: Partial<Observed>): Decision {
  const nothing = { pods: [], plan: PLAN, search: { kind: 'none' }, applyError: undefined } as const;
  return decide({ resource: jobResource(), nodes: NODES, ...nothing, ...parts }, optionsAfter(seconds));
}

const kept = ({ status, deletePods }: Decision): unknown[] => [status.reason, status.failures, deletePods.length];

test('pods that wait for others which cannot be created hold their devices no longer than any that wait', (t) => {
  const pods = [attemptPod(0, 0, 'a', { phase: 'Running' }, NOW)];
  const waiting = visit(299, { pods, applyError: QUOTA });
  t.deepEqual(kept(waiting), ['QuotaExceeded', {}, 0]);
  t.deepEqual([waiting.requeueAfterMs, waiting.pods.length], [1000, 2], 'it is tried again all the while');
  const late = visit(300, { pods, applyError: QUOTA });
  t.deepEqual(kept(late), ['NotPlaced', { NotPlaced: 1 }, 1]);
  const what = `only 1 of 2 pods were placed within 300 s: ${QUOTA.message}; all are given back`;
  t.is(late.status.lastFailure, what);
  t.deepEqual(visit(86_400, { applyError: QUOTA }).status.failures, {}, 'where there is none, none holds a device');
});

test('a pod that comes late has the whole time to be placed', (t) => {
  const late = new Date(NOW.getTime() + 200_000);
  const pods = [attemptPod(0, 0, 'a', { phase: 'Running' }, NOW), attemptPod(0, 1, undefined, {}, late)];
  t.is(visit(499, { pods }).requeueAfterMs, 1000);
  t.is(visit(500, { pods }).status.reason, 'NotPlaced');
});

/** What a kubelet says of a pod that it does not let in. Source: kubelet, lifecycle/predicate.go and cm/topologymanager. */
const REFUSALS: readonly Status[] = [
  {
    reason: 'UnexpectedAdmissionError',
    message: 'Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate',
  },
  { reason: 'OutOfcpu', message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 4000" },
  { reason: 'NodeAffinity', message: 'Pod was rejected: Predicate NodeAffinity failed' },
  {
    reason: 'TopologyAffinityError',
    message: 'Pod was rejected: Resources cannot be allocated with Topology locality',
  },
];

for (const refusal of REFUSALS) {
  test(`a pod that its node refuses is no crash, and is told with the kubelet's words: ${refusal.reason}`, (t) => {
    const pods = [attemptPod(0, 0, 'a', { phase: 'Failed', ...refusal }), attemptPod(0, 1, 'b', { phase: 'Pending' })];
    const { status, deletePods } = visit(5, { pods, resource: jobResource({ backoffLimit: 0 }) });
    t.deepEqual([status.state, status.reason, deletePods.length], ['Restarting', 'PodRefused', 2]);
    t.deepEqual(status.failures, { NotPlaced: 1 });
    t.is(status.lastFailure, `node a refused pod job-0-0: ${refusal.reason}: ${refusal.message}`);
  });
}

test('a pod that failed after it was let in is a crash, and what its status says is told where it left no last words', (t) => {
  const message = 'Pod was active on the node longer than the specified deadline';
  const terminated = { exitCode: 137 };
  const container = { name: 'worker', image: '', imageID: '', ready: false, restartCount: 0, state: { terminated } };
  const deadline = { phase: 'Failed', reason: 'DeadlineExceeded', message };
  const cases: readonly (readonly [Status, string])[] = [
    [deadline, `pod job-0-0 on node a failed: DeadlineExceeded: ${message}`],
    [
      { ...deadline, containerStatuses: [container] },
      `pod job-0-0 on node a failed with exit code 137 (SIGKILL: killed from outside, often for memory): DeadlineExceeded: ${message}`,
    ],
    [{ phase: 'Failed' }, 'pod job-0-0 on node a failed'],
  ];
  for (const [status, what] of cases) {
    const failed = visit(5, { pods: [attemptPod(0, 0, 'a', status)] }).status;
    t.deepEqual([failed.failures, failed.lastFailure], [{ Crashed: 1 }, what]);
  }
});

/** Pods of the attempt of a status, of which the second is not placed. */
const half = (attempt: number): V1Pod[] => [
  attemptPod(attempt, 0, 'a', { phase: 'Running' }, NOW),
  attemptPod(attempt, 1, undefined, { phase: 'Pending' }, NOW),
];

const nodesOf = ({ startSearch }: Decision): string[] | undefined =>
  startSearch?.cluster.devices.map(({ node }) => node);

test('after pods that were not placed the plan is not read back: the status tells of none', (t) => {
  const before = visit(0, { pods: half(0) }).status;
  t.truthy(before.iteration);
  const pods = half(0);
  const { status, forgetSearch } = visit(300, { pods, resource: jobResource({}, before) });
  t.deepEqual([status.reason, status.iteration, forgetSearch], ['NotPlaced', undefined, true]);
  const given = visit(300, { pods, resource: jobResource({ plan: 'plan.json' }, before) });
  t.deepEqual([given.status.reason, given.status.iteration], ['NotPlaced', before.iteration], 'there is no other');
});

test('while a new plan is made, pods that were given back are deleted again where that failed, by force on a lost node', (t) => {
  const { status } = visit(300, { pods: half(0), resource: jobResource({}, visit(0, { pods: half(0) }).status) });
  const parts = { plan: undefined, resource: jobResource({}, status) };
  const there = visit(301, { ...parts, pods: half(0), search: { kind: 'running' } });
  t.deepEqual([there.status.state, there.requeueAfterMs], ['Searching', 5000]);
  t.deepEqual(
    there.deletePods.map(({ name, force }) => [name, force]),
    [
      ['job-0-0', false],
      ['job-0-1', false],
    ],
  );
  const ending = attemptPod(0, 0, 'gone', { phase: 'Running' }, NOW);
  ending.metadata = { ...ending.metadata, deletionTimestamp: NOW };
  t.deepEqual(visit(301, { ...parts, pods: [ending] }).deletePods, [{ name: 'job-0-0', force: true }]);
});

test('a new plan leaves out the nodes that took no pod, for half an hour, where the others suffice', (t) => {
  const { status } = visit(300, { pods: half(0) });
  t.deepEqual(status.unplaced, { b: new Date(NOW.getTime() + 300_000).toISOString() });
  const next = (seconds: number, parts: Partial<Observed> = {}, spec: object = {}): Decision =>
    visit(seconds, { plan: undefined, resource: jobResource({ ...spec }, status), ...parts });
  const more = [...NODES, gpuNode('c', 1)];
  const other = next(310, { nodes: more });
  t.deepEqual(nodesOf(other), ['a', 'c']);
  t.true(other.status.topology.skipped.includes('b: did not take a pod of the job within the last half hour'));
  t.deepEqual(nodesOf(next(310, {}, { devices: { min: 1, max: 2 } })), ['a']);
  t.deepEqual(nodesOf(next(310)), ['a', 'b'], 'there are no others');
  t.deepEqual(nodesOf(next(300 + 1800, { nodes: more })), ['a', 'b', 'c']);

  const again = next(310, { nodes: more, plan: PLAN });
  t.deepEqual([nodesOf(again), again.pods], [['a', 'c'], []], 'nor is one with such a node followed');
  t.is(next(310, { plan: PLAN }).pods.length, 2);
});

test('a node that refused a pod is left out too', (t) => {
  const pods = [attemptPod(0, 0, 'a', { phase: 'Failed', reason: 'OutOfcpu' }), attemptPod(0, 1, 'b', {})];
  const { status, forgetSearch } = visit(0, { pods });
  t.deepEqual([status.iteration, forgetSearch, Object.keys(status.unplaced ?? {})], [undefined, true, ['a']]);
  const nodes = [...NODES, gpuNode('c', 1)];
  t.deepEqual(nodesOf(visit(10, { nodes, plan: undefined, resource: jobResource({}, status) })), ['b', 'c']);
});

test('a pod that could not be created says nothing of its node', (t) => {
  const pods = half(0).slice(0, 1);
  t.is(visit(300, { pods, applyError: QUOTA }).status.unplaced, undefined);
});

test('a plan for more or fewer devices than the job asks for by now is made anew before the next attempt', (t) => {
  const next = (devices: object, search: Observed['search'] = { kind: 'none' }): Decision =>
    visit(1, { resource: jobResource({ devices }, { attempt: 1 }), search, nodes: [...NODES, gpuNode('c', 1)] });
  t.is(nodesOf(next({ min: 1, max: 1 }))?.length, 1);
  t.is(nodesOf(next({ min: 3, max: 3 }))?.length, 3);
  t.is(next({ min: 1, max: 2 }).pods.length, 2);
  const found = next({ min: 1, max: 1 }, { kind: 'found', plan: PLAN });
  t.deepEqual([found.forgetSearch, found.status.reason, found.pods], [true, 'PlanOutdated', []]);
  t.is(found.status.message, 'the plan is for 2 devices; spec.devices asks for 1 to 1');
});

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
    [deadline, `pod job-0-0 failed: DeadlineExceeded: ${message}`],
    [
      { ...deadline, containerStatuses: [container] },
      `pod job-0-0 failed with exit code 137: DeadlineExceeded: ${message}`,
    ],
    [{ phase: 'Failed' }, 'pod job-0-0 failed'],
  ];
  for (const [status, what] of cases) {
    const failed = visit(5, { pods: [attemptPod(0, 0, 'a', status)] }).status;
    t.deepEqual([failed.failures, failed.lastFailure], [{ Crashed: 1 }, what]);
  }
});

import type { V1Node, V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import type { JobStatus } from '../../operator/api/resource.ts';
import { decide } from '../../operator/decide/decide.ts';
import type { Decision } from '../../operator/decide/types.ts';
import { LOST_PEER_EXIT_CODE } from '../../soap/job/handoff.ts';
import { attemptPod, planOn } from '../support/attempt.ts';
import { NOW, optionsAfter } from '../support/decide-options.ts';
import { gpuNode, jobResource } from '../support/kubernetes.ts';

const NODES = [gpuNode('a', 1), gpuNode('b', 1)];
const PLAN = planOn(NODES);
const SAID = 'device 0, step 7: device 1 is lost: it has not answered for 3 s';

type Status = NonNullable<V1Pod['status']>;

const RUNNING: Status = { phase: 'Running' };

/** Ended at the time when the tests begin. */
function exited(exitCode: number, message: string = `soapstone: ${SAID}\n`, reason?: string): Status {
  const terminated = { exitCode, message, finishedAt: NOW, ...(reason && { reason }) };
  const container = { name: 'worker', image: '', imageID: '', ready: false, restartCount: 0, state: { terminated } };
  return { phase: 'Failed', containerStatuses: [container] };
}
const LOST = exited(LOST_PEER_EXIT_CODE);

/** A visit to a job of two pods on nodes a and b, so many seconds after the first pod ended. */
function visit(
  seconds: number,
  [first, second]: readonly [Status, Status],
  { before = {}, notReadyFor }: { before?: Partial<JobStatus>; notReadyFor?: number } = {},
): Decision {
  const nodes = notReadyFor === undefined ? NODES : [NODES[0]!, silent(NODES[1]!, seconds - notReadyFor)];
  const pods = [first, second].map((status, index) => attemptPod(before.attempt ?? 0, index, 'ab'[index], status));
  const resource = jobResource({ backoffLimit: 0 }, before);
  const nothing = { search: { kind: 'none' }, applyError: undefined } as const;
  return decide({ resource, nodes, pods, plan: PLAN, ...nothing }, optionsAfter(seconds));
}

function silent(node: V1Node, sinceSeconds: number): V1Node {
  const lastTransitionTime = new Date(NOW.getTime() + 1000 * sinceSeconds);
  const condition = { type: 'Ready', status: 'Unknown', lastTransitionTime };
  return { ...node, status: { ...node.status, conditions: [condition] } };
}

const told = ({ status, deletePods }: Decision): unknown[] => [
  status.state,
  status.reason,
  status.failures,
  deletePods.length,
];

test('a pod that lost a peer is no crash while the peer may still say how it ended, and none where it never does', (t) => {
  const waiting = visit(5, [LOST, RUNNING]);
  t.deepEqual(told(waiting), ['Restarting', 'PeerLost', {}, 0]);
  t.deepEqual([waiting.status.attempt, waiting.requeueAfterMs], [0, 55_000]);
  t.is(waiting.status.message, `pod job-0-0 on node a lost a peer: ${SAID}; the other pods are awaited, to tell why`);
  const over = visit(60, [LOST, RUNNING], { before: waiting.status });
  t.deepEqual(told(over), ['Restarting', 'PeerLost', { PeerLost: 1 }, 2]);
  t.is(over.status.attempt, 1);
});

test('pods that all lost a peer start again at once: between them was the network', (t) => {
  const { status } = visit(0, [LOST, LOST]);
  t.deepEqual([status.attempt, status.failures], [1, { PeerLost: 1 }]);
});

test('a pod that crashed, or was killed for memory, counts whether its end is seen with that of its peers or after it', (t) => {
  const crashed = exited(2, 'soapstone: the process of device 1 was killed by SIGSEGV in step 8\n');
  const killed = exited(137, '', 'OOMKilled');
  for (const [end, kind] of [
    [crashed, 'Crashed'],
    [killed, 'OutOfMemory'],
  ] as const) {
    for (const pods of [
      [LOST, end],
      [end, LOST],
      [end, RUNNING],
    ] as const)
      t.deepEqual(told(visit(1, pods)).slice(0, 3), ['Failed', 'BackoffLimitExceeded', { [kind]: 1 }]);
    const waiting = visit(1, [LOST, RUNNING]).status;
    const later = visit(4, [LOST, end], { before: waiting });
    t.deepEqual(told(later).slice(0, 3), ['Failed', 'BackoffLimitExceeded', { [kind]: 1 }]);
  }
});

test('a node that is not ready is lost at once where peers lost its pod', (t) => {
  t.is(visit(1, [RUNNING, RUNNING], { notReadyFor: 5 }).status.reason, 'AllRunning');
  const waiting = visit(5, [LOST, RUNNING]).status;
  const lost = visit(40, [LOST, RUNNING], { before: waiting, notReadyFor: 1 });
  t.deepEqual(told(lost), ['Restarting', 'NodeLost', { NodeLost: 1 }, 2]);
  t.regex(lost.status.message, /^node b of pod job-0-1 is not ready, and other pods lost their connection to it; /);
});

test('a network that fails again and again is tried less and less often, and never fails the job', (t) => {
  const pauses = [1, 3, 50].map((PeerLost) => {
    const before = { attempt: PeerLost, failures: { PeerLost }, restartTime: NOW.toISOString() };
    const resource = jobResource({ backoffLimit: 0 }, before);
    const nothing = { search: { kind: 'none' }, applyError: undefined, pods: [] } as const;
    return decide({ resource, nodes: NODES, plan: PLAN, ...nothing }, optionsAfter(0)).requeueAfterMs;
  });
  t.deepEqual(pauses, [1000, 4000, 30_000]);
  const before = { attempt: 50, failures: { PeerLost: 50 } };
  t.is(visit(0, [LOST, LOST], { before }).status.state, 'Restarting');
});

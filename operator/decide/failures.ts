import type { V1ContainerStateTerminated, V1ContainerStatus, V1Node, V1Pod } from '@kubernetes/client-node';
import { DIVERGED_EXIT_CODE, LOST_PEER_EXIT_CODE, MISSING_FILE_EXIT_CODE } from '../../soap/job/handoff.ts';
import type { FailureClass } from '../api/resource.ts';
import { exitInWords } from './exit-codes.ts';
import { lastLines, lastWords, MAX_LAST_WORDS } from './last-words.ts';
import type { Reason } from './reasons.ts';
import { hasEnded, podName } from './visit.ts';

/** Why an attempt is over, from the pod that caused it. */
export interface AttemptFailure {
  readonly kind: FailureClass;
  /** Where another reason says more than the class. */
  readonly reason?: Reason;
  /** A sentence without its end: which pod, where, and why. */
  readonly what: string;
  /** The last lines of its container, where they say more than `what` does. */
  readonly log?: string | undefined;
  /** Nodes that did not take pods. */
  readonly unplaced?: readonly string[];
}

/** Exit code of a process that was told to stop by SIGTERM: 128 + 15. Source: POSIX shells; what AdaptDL calls preempted. */
const TERMINATED_EXIT_CODE = 143;

/** A node that is not ready for longer is lost; shorter is a flap. Source: half again kube-controller-manager's 40 s grace. */
const NODE_GRACE_MS = 60_000;

/**
 * Pods that lost a peer may be seen to before it is: a pod that crashed by its kubelet's next message, a node that died once it is called
 * not ready. Source: kube-controller-manager's grace of 40 s, 50 s since Kubernetes 1.32.
 */
const CAUSE_GRACE_MS = 60_000;

/**
 * Causes come before their effects: when a pod is taken away, its peers fail because of it, and may be seen to first.
 */
const ORDER: readonly FailureClass[] = [
  'NodeLost',
  'Preempted',
  'Evicted',
  'FileMissing',
  'OutOfMemory',
  'Crashed',
  'NotPlaced',
  'PeerLost',
];

/** Reasons of the condition DisruptionTarget. Source: Kubernetes documentation, "Pod disruption conditions". */
const DISRUPTIONS: Readonly<Record<string, FailureClass>> = {
  PreemptionByScheduler: 'Preempted',
  DeletionByTaintManager: 'NodeLost',
  EvictionByEvictionAPI: 'Evicted',
  DeletionByPodGC: 'NodeLost',
  TerminationByKubelet: 'Evicted',
};

/**
 * Finds why an attempt cannot go on, or undefined where nothing is wrong.
 * @param pods of the attempt
 */
export function attemptFailure(
  pods: readonly V1Pod[],
  nodes: ReadonlyMap<string, V1Node>,
  now: Date,
): AttemptFailure | undefined {
  const failures = pods.flatMap((pod) => podFailure(pod, nodes, now) ?? []);
  const first = failures.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind))[0];
  return first?.kind === 'PeerLost' ? (silentNode(pods, nodes) ?? first) : first;
}

/** A node that is not ready and whose pod is lost to its peers: that is no flap. */
function silentNode(pods: readonly V1Pod[], nodes: ReadonlyMap<string, V1Node>): AttemptFailure | undefined {
  const pod = pods.find((each) => !hasEnded(each) && notReadySince(nodes.get(each.spec?.nodeName ?? '')) !== undefined);
  if (pod === undefined) return undefined;
  return {
    kind: 'NodeLost',
    what: `node ${pod.spec?.nodeName} of pod ${podName(pod)} is not ready, and other pods lost their connection to it`,
  };
}

/**
 * How long what befell the peer of a pod that lost one may still come to light, in milliseconds; 0 or less where it is over, or where
 * every pod has said how it ended.
 * @param pods of the attempt
 */
export function causeLeftMs(pods: readonly V1Pod[], now: Date): number {
  if (pods.every(hasEnded)) return 0;
  const ends = pods.flatMap((pod) => failedEnd(pod)?.finishedAt ?? []).map((time) => new Date(time).getTime());
  return ends.length === 0 ? 0 : Math.min(...ends) + CAUSE_GRACE_MS - now.getTime();
}

function podFailure(pod: V1Pod, nodes: ReadonlyMap<string, V1Node>, now: Date): AttemptFailure | undefined {
  const { phase, reason } = pod.status ?? {};
  if (phase === 'Succeeded') return undefined;
  const node = pod.spec?.nodeName;
  if (node !== undefined && isLost(nodes.get(node), now)) {
    return { kind: 'NodeLost', what: `node ${node} of pod ${podName(pod)} is gone or not ready` };
  }
  const name = placedName(pod);
  const disruption = pod.status?.conditions?.find(
    ({ type, status }) => type === 'DisruptionTarget' && status === 'True',
  );
  const kind = DISRUPTIONS[disruption?.reason ?? ''];
  if (kind !== undefined)
    return { kind, what: `pod ${name} is taken away: ${disruption?.message ?? disruption?.reason}` };
  if (phase === 'Failed') {
    return reason === 'Evicted'
      ? { kind: 'Evicted', what: `pod ${name} was evicted: ${pod.status?.message ?? 'no message'}` }
      : exitFailure(pod);
  }
  if (pod.metadata?.deletionTimestamp !== undefined) return { kind: 'Evicted', what: `pod ${name} is being deleted` };
  return undefined;
}

/** What ends a pod by its own deadline, which spec.template may give it: its node did not refuse it. Source: kubelet, active_deadline.go. */
const POD_DEADLINE = 'DeadlineExceeded';

/** Whether a node's kubelet did not let the pod in: it failed, for a reason, and nothing of it was started. */
function isRefused({ status }: V1Pod): boolean {
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const isStarted = containers.some(({ state }) => state?.terminated !== undefined || state?.running !== undefined);
  return !isStarted && status?.reason !== undefined && status.reason !== POD_DEADLINE;
}

/** Such as `OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu`. */
function statusWords({ status }: V1Pod): string | undefined {
  const words = [status?.reason, status?.message].filter((word) => word !== undefined && word !== '').join(': ');
  return words === '' ? undefined : words.slice(0, MAX_LAST_WORDS);
}

/** Such as `mnist-0-1 on node gpu-a`: one that fails again and again on the same node is not to blame. */
function placedName(pod: V1Pod): string {
  const { nodeName } = pod.spec ?? {};
  return nodeName === undefined ? podName(pod) : `${podName(pod)} on node ${nodeName}`;
}

function exitFailure(pod: V1Pod): AttemptFailure {
  if (isRefused(pod)) {
    const { nodeName } = pod.spec ?? {};
    const what = `node ${nodeName} refused pod ${podName(pod)}: ${statusWords(pod)}`;
    return { kind: 'NotPlaced', reason: 'PodRefused', what, unplaced: nodeName === undefined ? [] : [nodeName] };
  }
  const failed = failedContainer(pod);
  const { end } = failed ?? {};
  const of = failed === undefined || failed.isRuntime ? '' : `container ${failed.name} of `;
  const whose = `${of}pod ${placedName(pod)}`;
  const log = lastLines(end);
  if (end?.reason === 'OOMKilled') {
    return { kind: 'OutOfMemory', what: `${whose} was killed because it used more memory than its limit`, log };
  }
  if (end?.exitCode === TERMINATED_EXIT_CODE) {
    return { kind: 'Preempted', what: `${whose} was told to stop (exit code ${TERMINATED_EXIT_CODE})` };
  }
  const said = lastWords(end) ?? statusWords(pod);
  const words = said === undefined ? '' : `: ${said}`;
  if (failed?.isRuntime === true && end?.exitCode === MISSING_FILE_EXIT_CODE) {
    return { kind: 'FileMissing', what: `${whose} lacks a file${words}` };
  }
  if (failed?.isRuntime === true && end?.exitCode === LOST_PEER_EXIT_CODE) {
    return { kind: 'PeerLost', what: `${whose} lost a peer${words}` };
  }
  if (failed?.isRuntime === true && end?.exitCode === DIVERGED_EXIT_CODE) {
    return { kind: 'Crashed', reason: 'Diverged', what: `${whose} ended${words}` };
  }
  const code = end === undefined ? '' : ` with ${exitInWords(end.exitCode)}`;
  return { kind: 'Crashed', what: `${whose} failed${code}${words}`, log };
}

/** Names of the project's own containers. Source: `pods.ts`, `inspect-pod.ts` and `profile-pod.ts` beside this file. */
const RUNTIME_CONTAINERS: ReadonlySet<string> = new Set(['worker', 'inspect', 'profile']);

/** A container that did not end well. */
interface FailedContainer {
  readonly name: string;
  /** Whether it is the project's own, whose exit codes are known. */
  readonly isRuntime: boolean;
  readonly end: V1ContainerStateTerminated;
}

/**
 * The container of a pod that failed: the project's own before others beside it, which it may have taken along, and those that came first,
 * without which it never began, where no other failed.
 */
function failedContainer({ status }: V1Pod): FailedContainer | undefined {
  const failed = (statuses: readonly V1ContainerStatus[] = []): FailedContainer[] =>
    statuses.flatMap(({ name, state }) => {
      const end = state?.terminated;
      return end === undefined || end.exitCode === 0 ? [] : [{ name, isRuntime: RUNTIME_CONTAINERS.has(name), end }];
    });
  const main = failed(status?.containerStatuses);
  return main.find(({ isRuntime }) => isRuntime) ?? main[0] ?? failed(status?.initContainerStatuses)[0];
}

/** How the container of a pod that failed ended, or undefined where none did. */
export function failedEnd(pod: V1Pod): V1ContainerStateTerminated | undefined {
  return failedContainer(pod)?.end;
}

/** Whether a node is gone, or was not ready for longer than a flap. */
export function isLost(node: V1Node | undefined, now: Date): boolean {
  if (node === undefined) return true;
  const leftMs = graceLeftMs(node, now);
  return leftMs !== undefined && leftMs < 0;
}

/** How long until the first of the pods' nodes that are not ready is lost, in milliseconds; undefined where all are ready. */
export function lossDueMs(pods: readonly V1Pod[], nodes: ReadonlyMap<string, V1Node>, now: Date): number | undefined {
  const left = pods.flatMap(({ spec }) => graceLeftMs(nodes.get(spec?.nodeName ?? ''), now) ?? []);
  return left.length === 0 ? undefined : Math.max(0, Math.min(...left)) + 1;
}

function graceLeftMs(node: V1Node | undefined, now: Date): number | undefined {
  const sinceMs = notReadySince(node);
  return sinceMs === undefined ? undefined : sinceMs + NODE_GRACE_MS - now.getTime();
}

/** Time since the epoch; undefined where the node is ready, or not there. */
function notReadySince(node: V1Node | undefined): number | undefined {
  const ready = node?.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready === undefined || ready.status === 'True' || ready.lastTransitionTime === undefined) return undefined;
  // The cache holds times as the server writes them, as text; the library's type says Date.
  return new Date(ready.lastTransitionTime).getTime();
}

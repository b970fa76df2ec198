import type { V1Pod } from '@kubernetes/client-node';
import type { TrainingJobResource } from '../api/resource.ts';
import { JOB_LABEL } from './children.ts';
import { hasEnded } from './visit.ts';

/** Our own gate, beside the queue's: it is lifted once the plan fits the nodes that the pods were admitted to. */
export const PLAN_GATE = 'soapstone.dev/plan';

/** Source: Kueue documentation, "Run plain pods", groups of pods. */
const QUEUE_NAME = 'kueue.x-k8s.io/queue-name';
const PASSED_ON = [QUEUE_NAME, 'kueue.x-k8s.io/priority-class'];
const GROUP_NAME = 'kueue.x-k8s.io/pod-group-name';
const GROUP_COUNT = 'kueue.x-k8s.io/pod-group-total-count';
/**
 * `false`: the queue waits for no other pod in place of one that has failed, and lets all go once all have ended. The next attempt is
 * another group.
 */
const RETRIABLE = 'kueue.x-k8s.io/retriable-in-group';
/**
 * Pods of a group differ in so many ways at most, in what a scheduler looks at: the node that each selects is one. Source: Kueue's
 * pod_controller.go, "pod group can't include more than 8 roles".
 */
const MAX_ROLES = 8;
/** Holds a pod of a group in the cluster until the queue lets it go. */
const FINALIZER = 'kueue.x-k8s.io/managed';

/** What the pods of a queued job carry. */
export interface QueueMarks {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly schedulingGates: readonly { readonly name: string }[];
  /** Whether they select their nodes only once they are admitted: there are too many nodes for the queue to take them. */
  readonly selectLater: boolean;
}

/** Whether the pods of a job wait in a queue. */
export function isQueued({ metadata }: TrainingJobResource): boolean {
  return metadata.labels?.[QUEUE_NAME] !== undefined;
}

/** The labels by which a pod of a job that is no part of an attempt waits in the job's queue by itself; none without a queue. */
export function queueLabels({ metadata: { labels = {} } }: TrainingJobResource): Record<string, string> {
  if (labels[QUEUE_NAME] === undefined) return {};
  return Object.fromEntries(PASSED_ON.flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]]])));
}

/** Whether something, such as a queue, holds a pod back from the scheduler. */
export function isGated({ spec }: V1Pod): boolean {
  return (spec?.schedulingGates?.length ?? 0) > 0;
}

/** Passes the queue's labels of a job on to its pods, as one group; nothing for a job without a queue. */
export function queueMarks(resource: TrainingJobResource, attempt: number, podCount: number): QueueMarks {
  if (!isQueued(resource)) return { labels: {}, annotations: {}, schedulingGates: [], selectLater: false };
  return {
    labels: { ...queueLabels(resource), [GROUP_NAME]: `${resource.metadata.name}-${attempt}` },
    annotations: { [GROUP_COUNT]: String(podCount), [RETRIABLE]: 'false' },
    schedulingGates: [{ name: PLAN_GATE }],
    selectLater: podCount > MAX_ROLES,
  };
}

/**
 * Names of the queue's Workloads, in the namespace of a job, that hold deleted pods of it, or of one of its name before it, for ever: those
 * of groups with a pod that cannot end, since it had no node yet or its node is lost. Such groups go with their Workload, which has
 * their name. Source: Kueue documentation, "Run Plain Pods", Termination.
 */
export function holdingWorkloads(pods: readonly V1Pod[], namespace: string, job: string): string[] {
  const held = pods.filter(
    (pod) => pod.metadata?.namespace === namespace && pod.metadata.labels?.[JOB_LABEL] === job && isHeld(pod),
  );
  return [...new Set(held.flatMap(({ metadata }) => metadata?.labels?.[GROUP_NAME] ?? []))];
}

/** Whether the API server waits for nothing but the queue: a pod without a node, or deleted by force, is given no time to end. */
function isHeld(pod: V1Pod): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers = [] } = pod.metadata ?? {};
  const isDeleted = deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0;
  return isDeleted && !hasEnded(pod) && finalizers.includes(FINALIZER);
}

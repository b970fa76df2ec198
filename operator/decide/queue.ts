import type { V1Pod } from '@kubernetes/client-node';
import type { TrainingJobResource } from '../api/resource.ts';

/** Our own gate, beside the queue's: it is lifted once the plan fits the nodes that the pods were admitted to. */
export const PLAN_GATE = 'soapstone.dev/plan';

/** Source: Kueue documentation, "Run plain pods", groups of pods. */
const QUEUE_NAME = 'kueue.x-k8s.io/queue-name';
const PASSED_ON = [QUEUE_NAME, 'kueue.x-k8s.io/priority-class'];
const GROUP_NAME = 'kueue.x-k8s.io/pod-group-name';
const GROUP_COUNT = 'kueue.x-k8s.io/pod-group-total-count';

/** What the pods of a queued job carry. */
export interface QueueMarks {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly schedulingGates: readonly { readonly name: string }[];
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
  if (!isQueued(resource)) return { labels: {}, annotations: {}, schedulingGates: [] };
  return {
    labels: { ...queueLabels(resource), [GROUP_NAME]: `${resource.metadata.name}-${attempt}` },
    annotations: { [GROUP_COUNT]: String(podCount) },
    schedulingGates: [{ name: PLAN_GATE }],
  };
}

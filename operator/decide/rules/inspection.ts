import type { V1Pod } from '@kubernetes/client-node';
import type { TrainingJob } from '../../../soap/job/training-job.ts';
import { childNames } from '../children.ts';
import { attemptFailure, lossDueMs } from '../failures.ts';
import { INSPECTION_SECONDS, inspectionOrder, inspectPod } from '../inspect-pod.ts';
import { missingFile } from '../missing-file.ts';
import { podTrouble } from '../pod-trouble.ts';
import { isGated } from '../queue.ts';
import type { Reason } from '../reasons.ts';
import type { Actions, Decision } from '../types.ts';
import type { Visit } from '../visit.ts';
import { end, find, inspectPods, podName } from '../visit.ts';
import { failed, removals } from './lifetime.ts';
import { creationReason } from './placement.ts';

/** Whether a pod must read the model or the plan, since the controller cannot. */
export function needsInspection({ options }: Visit, job: TrainingJob): boolean {
  const { storage } = job.spec;
  if (!options.inspectPods || storage === undefined || inspectionOrder(job) === undefined) return false;
  return !('configMap' in storage) && !('hostPath' in storage && options.hostPathModels);
}

/** The name of the pod that has read the storage of the job as it is now. */
export function inspector({ observed }: Visit, job: TrainingJob): string {
  return childNames.inspectPod(job.metadata.name, observed.resource.metadata.generation ?? 0);
}

/** Lets a pod read what the controller cannot; undefined once it has, or where that is not needed. */
export function inspectFirst(visit: Visit, job: TrainingJob): Decision | undefined {
  const order = inspectionOrder(job);
  if (order === undefined || !needsInspection(visit, job)) return undefined;
  const name = inspector(visit, job);
  const pods = inspectPods(visit);
  const pod = pods.find((each) => podName(each) === name);
  const deletePods = removals(pods.filter((each) => each !== pod));
  if (pod === undefined) {
    const { applyError } = visit.observed;
    const create = { pods: [inspectPod(visit.observed.resource, job, order, visit.options.image)], deletePods };
    if (applyError === undefined) return wait(visit, 'Inspecting', `pod ${name} is to read spec.storage`, create);
    return wait(visit, creationReason(applyError), applyError.message, create);
  }
  if (pod.status?.phase === 'Succeeded' && pod.metadata?.deletionTimestamp === undefined) return undefined;
  return followInspection(visit, job, pod, deletePods);
}

function followInspection(visit: Visit, job: TrainingJob, pod: V1Pod, stale: Actions['deletePods']): Decision {
  const name = podName(pod);
  if (pod.status?.reason === 'DeadlineExceeded')
    return unreadable(
      visit,
      `pod ${name} did not read spec.storage within ${INSPECTION_SECONDS} s; is the volume slow?`,
    );
  const nodes = new Map(visit.observed.nodes.map((node) => [node.metadata?.name ?? '', node]));
  const failure = attemptFailure([pod], nodes, visit.options.now);
  if (failure?.kind === 'FileMissing') return awaitFile(visit, job, pod, stale);
  if (failure?.kind === 'Crashed' || failure?.kind === 'OutOfMemory') return unreadable(visit, failure.what);
  if (failure !== undefined) {
    // Not the model's fault: another pod of the same name follows once this one is gone.
    const removal = failure.kind === 'NodeLost' ? [{ name, force: true }] : removals([pod]);
    const deletePods = [...stale, ...removal];
    return wait(visit, failure.reason ?? failure.kind, `${failure.what}; another pod is to read spec.storage`, {
      deletePods,
    });
  }
  const actions = { deletePods: stale, requeueAfterMs: lossDueMs([pod], nodes, visit.options.now) };
  const trouble = podTrouble(pod);
  if (trouble !== undefined) return wait(visit, trouble.reason, trouble.message, actions);
  if (isGated(pod))
    return wait(visit, 'Inspecting', `pod ${name} reads spec.storage once its queue admits it`, actions);
  return wait(visit, 'Inspecting', `pod ${name} reads spec.storage`, actions);
}

/**
 * A file may come after its job. The pod that did not find it ended, so that its volume is free for whoever puts it there, and stays for
 * its log until another looks.
 */
function awaitFile(visit: Visit, job: TrainingJob, pod: V1Pod, stale: Actions['deletePods']): Decision {
  const { message, retryAtMs } = missingFile(visit, job, pod);
  find(visit, 'PlanFound', 'False', 'ModelUnavailable', message);
  const leftMs = retryAtMs - visit.options.now.getTime();
  const actions = leftMs > 0 ? { requeueAfterMs: leftMs } : {};
  const deletePods = leftMs > 0 ? stale : [...stale, ...removals([pod])];
  return end(visit, 'Searching', 'PlanFound', { ...actions, deletePods });
}

function wait(visit: Visit, reason: Reason, message: string, actions: Partial<Actions>): Decision {
  if (reason !== 'Inspecting') find(visit, 'PlanFound', 'False', reason, `the model is not read: ${message}`);
  // Whether a file that was missing is there now is not known yet: the condition stays.
  else if (!lackedFile(visit)) find(visit, 'PlanFound', 'Unknown', reason, message);
  return end(visit, 'Searching', 'PlanFound', actions);
}

/** Whether the job, as its spec is now, lacked its model when it was last looked for. */
function lackedFile({ observed: { resource } }: Visit): boolean {
  const condition = resource.status?.conditions?.find(({ type }) => type === 'PlanFound');
  return condition?.reason === 'ModelUnavailable' && condition.observedGeneration === resource.metadata.generation;
}

/** The job fails, and the pod stays for its log. */
function unreadable(visit: Visit, what: string): Decision {
  const message = `${what}; paths of the spec are relative to the root of spec.storage`;
  find(visit, 'PlanFound', 'False', 'ModelUnreadable', message);
  find(visit, 'Failed', 'True', 'ModelUnreadable', message);
  return failed(visit);
}

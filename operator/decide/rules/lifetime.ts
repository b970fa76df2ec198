import type { ConditionType, TrainingJobResource } from '../../api/resource.ts';
import { isTrue } from '../conditions.ts';
import type { LifetimeSettings } from '../lifetime-settings.ts';
import type { Actions, Decision, PodRemoval } from '../types.ts';
import type { Visit } from '../visit.ts';
import { end, find, hasEnded, helperPods, ownPods, podName } from '../visit.ts';

/** Longest pause that a timer takes and that still is no busy wait. */
const MAX_PAUSE_MS = 3_600_000;

/** A job that has ended stays as it is, with its logs, until its time is over; what was searched for it ends, and is forgotten. */
export const ended = (visit: Visit, ttlSeconds: number | undefined): Decision | undefined => {
  const type = endOf(visit.observed.resource);
  if (type === undefined) return undefined;
  return end(visit, type, type, { ...atEnd(visit), ...timeToLive(visit, type, ttlSeconds) });
};

/** What is done for a job that has ended; nobody follows a plan of it any more. */
export function atEnd(visit: Visit): Pick<Actions, 'deletePods' | 'forgetSearch' | 'forgetMoveSearch'> {
  return { deletePods: unfinishedPods(visit), forgetSearch: true, forgetMoveSearch: true };
}

/** The condition by which a job has ended; undefined where it has not. */
export function endOf(resource: TrainingJobResource): 'Complete' | 'Failed' | undefined {
  return (['Complete', 'Failed'] as const).find((candidate) => isTrue(resource, candidate));
}

function timeToLive({ observed, options }: Visit, type: ConditionType, seconds: number | undefined): Partial<Actions> {
  if (seconds === undefined) return {};
  const condition = observed.resource.status?.conditions?.find((candidate) => candidate.type === type);
  const leftMs = Date.parse(condition?.lastTransitionTime ?? '') + 1000 * seconds - options.now.getTime();
  return leftMs <= 0 ? { deleteJob: true } : { requeueAfterMs: Math.min(MAX_PAUSE_MS, leftMs) };
}

/** A suspended job has no pods; going on is a new attempt, with a new deadline. */
export function suspended(visit: Visit, settings: LifetimeSettings): Decision | undefined {
  if (settings.suspend) return suspend(visit);
  goOn(visit);
  return undefined;
}

/** What holds of a job that is not suspended: its time runs. */
export function goOn(visit: Visit): void {
  find(visit, 'Suspended', 'False', 'NotSuspended', 'spec.suspend is false');
  visit.progress.startTime ??= visit.options.now.toISOString();
}

/** Takes a job's pods away, whatever else its spec says. */
export function suspend(visit: Visit): Decision {
  const pods = ownPods(visit);
  if (!isTrue(visit.observed.resource, 'Suspended') && pods.length > 0) visit.progress.attempt += 1;
  visit.progress.startTime = undefined;
  visit.progress.admitted = undefined;
  const message = 'spec.suspend is true; set it to false to go on from the last checkpoint';
  find(visit, 'Suspended', 'True', 'SuspendRequested', message);
  find(visit, 'PodsReady', 'False', 'SuspendRequested', 'the job is suspended');
  return end(visit, 'Suspended', 'Suspended', { deletePods: removals([...pods, ...helperPods(visit)]) });
}

/**
 * Fails a job that takes longer than it may, whatever it does meanwhile. Source: Kubernetes documentation, "Jobs", of
 * activeDeadlineSeconds.
 */
export function overdue(visit: Visit, { activeDeadlineSeconds: seconds }: LifetimeSettings): Decision | undefined {
  const { startTime } = visit.progress;
  if (seconds === undefined || startTime === undefined) return undefined;
  if (visit.options.now.getTime() < Date.parse(startTime) + 1000 * seconds) return undefined;
  const message = `the job did not end within spec.activeDeadlineSeconds, ${seconds} s from ${startTime}; raise it, or use more devices`;
  find(visit, 'Failed', 'True', 'DeadlineExceeded', message);
  return failed(visit);
}

/** Ends a job whose Failed condition was just found; pods that are done stay for their logs. */
export function failed(visit: Visit): Decision {
  find(visit, 'PodsReady', 'False', 'Ended', 'the job has failed');
  return end(visit, 'Failed', 'Failed', atEnd(visit));
}

/** Deletion of those of a job's pods that have not ended: the others stay for their logs. */
function unfinishedPods(visit: Visit): PodRemoval[] {
  return removals([...ownPods(visit), ...helperPods(visit)].filter((pod) => !hasEnded(pod)));
}

/** Deletion of pods that are not being deleted yet. */
export function removals(pods: readonly Parameters<typeof podName>[0][]): PodRemoval[] {
  return pods
    .filter(({ metadata }) => metadata?.deletionTimestamp === undefined)
    .map((pod) => ({ name: podName(pod), force: false }));
}

/** The decision with another visit in time for the job's deadline. */
export function beforeDeadline(decision: Decision, visit: Visit, seconds: number | undefined): Decision {
  const { startTime } = visit.progress;
  if (seconds === undefined || startTime === undefined || isEnd(decision)) return decision;
  const leftMs = Date.parse(startTime) + 1000 * seconds - visit.options.now.getTime();
  const requeueAfterMs = Math.min(MAX_PAUSE_MS, Math.max(1, leftMs), decision.requeueAfterMs ?? Infinity);
  return { ...decision, requeueAfterMs };
}

function isEnd({ status: { state } }: Decision): boolean {
  return state === 'Complete' || state === 'Failed' || state === 'Suspended';
}

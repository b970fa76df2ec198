import type { V1Pod } from '@kubernetes/client-node';
import type { JobState } from '../../api/resource.ts';
import { podTrouble } from '../pod-trouble.ts';
import { isGated } from '../queue.ts';
import type { ApplyFailure } from '../types.ts';
import type { Visit } from '../visit.ts';
import { find, takenNames } from '../visit.ts';

/** Says how far the pods of an attempt are, and what keeps them. */
export function followPods(visit: Visit, current: readonly V1Pod[], wanted: number): JobState {
  const { applyError } = visit.observed;
  if (applyError !== undefined) {
    find(visit, 'PodsReady', 'False', creationReason(applyError), applyError.message);
    return 'Starting';
  }
  const running = current.filter(({ status }) => status?.phase === 'Running' || status?.phase === 'Succeeded');
  if (running.length === wanted) {
    find(visit, 'PodsReady', 'True', 'AllRunning', `${wanted} pod${wanted === 1 ? ' is' : 's are'} running`);
    return 'Running';
  }
  const trouble = current.map(podTrouble).find((found) => found !== undefined);
  const taken = takenNames(visit, wanted);
  const others = taken.length > 0 ? [`waiting for ${taken.join(', ')}, not of this job, to end`] : [];
  const why = trouble === undefined ? others : [trouble.message];
  const message = [`${running.length} of ${wanted} pods are running`, ...why].join('; ');
  find(visit, 'PodsReady', 'False', trouble?.reason ?? 'Starting', message);
  return 'Starting';
}

/** Why an object of a job could not be created, changed or deleted. */
export const CREATION_REASONS = [
  'NameTaken',
  'QuotaExceeded',
  'CreationForbidden',
  'InvalidPod',
  'CreationFailed',
] as const;

/** One of them. */
export type CreationReason = (typeof CREATION_REASONS)[number];

/** Why an object could not be created. Source of the codes: Kubernetes API conventions, "HTTP Status codes". */
export function creationReason({ code, message, nameTaken = false }: ApplyFailure): CreationReason {
  if (nameTaken) return 'NameTaken';
  // The second where the quota demands what the pod does not say. Source: Kubernetes' resourcequota/controller.go.
  if (code === 403) return /(exceeded|failed) quota/.test(message) ? 'QuotaExceeded' : 'CreationForbidden';
  return code === 422 ? 'InvalidPod' : 'CreationFailed';
}

/**
 * How long pods that are not placed, or could not be created, may still wait, in milliseconds; undefined where all are placed, where
 * there is none yet, or where a queue holds them. Gang semantics: a part of the pods only holds devices that other jobs could use.
 * @param wanted how many pods there are to be
 */
export function placementLeftMs({ options }: Visit, current: readonly V1Pod[], wanted: number): number | undefined {
  const unplaced = current.filter((pod) => !isPlaced(pod));
  if ((unplaced.length === 0 && current.length === wanted) || unplaced.some(isGated)) return undefined;
  const newest = Math.max(...current.map((pod) => placeableSince(pod)));
  if (!Number.isFinite(newest)) return undefined;
  return newest + options.placementDeadlineMs - options.now.getTime();
}

export function isPlaced({ spec }: V1Pod): boolean {
  return spec?.nodeName !== undefined;
}

/** From when the scheduler could place the pod. */
function placeableSince({ metadata, status }: V1Pod): number {
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  const time = scheduled?.lastTransitionTime ?? metadata?.creationTimestamp;
  return time === undefined ? NaN : new Date(time).getTime();
}

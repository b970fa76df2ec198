import type { V1Pod } from '@kubernetes/client-node';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { failedEnd } from './failures.ts';
import { lastWords } from './last-words.ts';
import type { Visit } from './visit.ts';
import { podName } from './visit.ts';

/**
 * The first pod that looks again comes after so long, as for models that the controller reads itself; the others after as long as the
 * file was missing by then, which doubles the pause, up to the most: a pod costs more than a question.
 */
const [FIRST_RETRY_MS, MAX_RETRY_MS] = [5000, 120_000];

/** A file that a job's storage does not have yet. */
export interface MissingFile {
  /** Which file is missing where, what to do, and when it is looked for again. */
  readonly message: string;
  /** Time since the epoch from which another pod may look. */
  readonly retryAtMs: number;
}

/** @param pod that looked into the job's storage, and ended since a file is not there */
export function missingFile(visit: Visit, job: TrainingJob, pod: V1Pod): MissingFile {
  const end = failedEnd(pod);
  // The cache holds times as the server writes them, as text; the library's type says Date.
  const endedMs = new Date(end?.finishedAt ?? pod.metadata?.creationTimestamp ?? visit.options.now).getTime();
  const missedMs = endedMs - (missingSinceMs(visit) ?? endedMs);
  const retryAtMs = endedMs + Math.min(MAX_RETRY_MS, Math.max(FIRST_RETRY_MS, missedMs));
  const again = new Date(retryAtMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const said = lastWords(end) ?? 'the pod does not say which';
  const message =
    `${storageName(job, pod)} lacks a file: ${said}; paths are relative to its root; ` +
    `it is looked for again at ${again}, or at once if pod ${podName(pod)} is deleted`;
  return { message, retryAtMs };
}

/** Since when the job has no plan for a reason; its conditions keep it over all pods. */
function missingSinceMs({ observed: { resource } }: Visit): number | undefined {
  const condition = resource.status?.conditions?.find(({ type }) => type === 'PlanFound');
  return condition?.status === 'False' ? Date.parse(condition.lastTransitionTime) : undefined;
}

/** Such as `PersistentVolumeClaim 'data'`. @param pod that looked into it */
function storageName({ spec: { storage } }: TrainingJob, pod: V1Pod): string {
  const claim = storage?.['persistentVolumeClaim'];
  if (typeof claim === 'object' && claim !== null && 'claimName' in claim && typeof claim.claimName === 'string')
    return `PersistentVolumeClaim '${claim.claimName}'`;
  const path = storage?.['hostPath'];
  if (typeof path === 'object' && path !== null && 'path' in path && typeof path.path === 'string')
    return `hostPath ${path.path} of node ${pod.spec?.nodeName}`;
  return 'spec.storage';
}

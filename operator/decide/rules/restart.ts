import type { V1Pod } from '@kubernetes/client-node';
import type { RestartStatus } from '../../api/resource.ts';
import type { TrainingJob } from '../../../soap/job/training-job.ts';
import type { AttemptFailure } from '../failures.ts';
import type { Decision } from '../types.ts';
import type { Visit } from '../visit.ts';
import { end, find, ownPods } from '../visit.ts';
import { failed, removals } from './lifetime.ts';

/** Pause after the first counted failure; doubled after each further one. */
const FIRST_PAUSE_MS = 1000;
/** Source: the Job controller backs off up to 10 minutes; half of that, since a restart here loses little. */
const MAX_PAUSE_MS = 300_000;

/** A cluster that takes pods away again and again is not asked every second; one that does now and then costs little. */
const MAX_UNCOUNTED_PAUSE_MS = 30_000;

/** As long as between the pods that look for a model: an attempt costs more than one of them. */
const MAX_FILE_PAUSE_MS = 120_000;

/** Gives an attempt up and starts the next: peers of a failed pod cannot go on without it. */
export function restart(visit: Visit, job: TrainingJob, failure: AttemptFailure): Decision {
  const { kind, reason = kind, what } = failure;
  const { progress, options } = visit;
  progress.restarts = remembered(visit, failure);
  progress.failures = { ...progress.failures, [kind]: (progress.failures[kind] ?? 0) + 1 };
  const counted = countedFailures(progress.failures);
  if (counted > job.spec.backoffLimit) {
    const message = `${what}; ${counted} attempts failed and spec.backoffLimit is ${job.spec.backoffLimit}: see the pod's log, and status.restarts`;
    find(visit, 'Failed', 'True', 'BackoffLimitExceeded', message);
    return failed(visit);
  }
  // The next pods are admitted anew: a queue that had nodes of one kind may have none of them now.
  if (reason !== 'AdmittedElsewhere') progress.admitted = undefined;
  progress.attempt += 1;
  progress.restartTime = options.now.toISOString();
  progress.lastFailure = what;
  const message = `${what}; starting attempt ${progress.attempt} from the last checkpoint`;
  find(visit, 'PodsReady', 'False', reason, message);
  // Also where the attempt before ended of the same.
  visit.retold.add('PodsReady');
  return end(visit, 'Restarting', 'PodsReady', { deletePods: removals(ownPods(visit)), requeueAfterMs: 100 });
}

/** Attempts whose end is remembered. */
const MAX_REMEMBERED = 5;

/** What comes again and again until somebody cures it: it would push out what the others ended of. */
const REPEATED: ReadonlySet<string> = new Set(['FileMissing', 'NotPlaced', 'PodRefused', 'AdmittedElsewhere']);

/** The ends of the last attempts with that of this one, whose pods are about to be deleted, and their logs with them. */
function remembered({ progress, options }: Visit, failure: AttemptFailure): readonly RestartStatus[] {
  const { kind, reason = kind, what, log } = failure;
  const { attempt, restarts = [] } = progress;
  const entry = { attempt, time: options.now.toISOString(), reason, message: what, ...(log !== undefined && { log }) };
  const before = REPEATED.has(reason) && restarts[0]?.reason === reason ? restarts.slice(1) : restarts;
  return [entry, ...before].slice(0, MAX_REMEMBERED);
}

/** How long the next attempt still waits, in milliseconds; 0 or less when it may start. */
export function pauseLeftMs({ progress, options }: Visit): number {
  const { restartTime, failures } = progress;
  if (restartTime === undefined) return 0;
  const counted = countedFailures(failures);
  const { FileMissing: files = 0 } = failures;
  const others = Object.values(failures).reduce((sum, count) => sum + count, 0) - counted - files;
  const lengthMs = Math.max(
    pauseMs(counted, MAX_PAUSE_MS),
    pauseMs(files, MAX_FILE_PAUSE_MS),
    pauseMs(others, MAX_UNCOUNTED_PAUSE_MS),
  );
  return Date.parse(restartTime) + lengthMs - options.now.getTime();
}

function pauseMs(failures: number, mostMs: number): number {
  return Math.min(mostMs, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1));
}

function countedFailures({ Crashed = 0, OutOfMemory = 0 }: Visit['progress']['failures']): number {
  return Crashed + OutOfMemory;
}

/** Seconds that a pod may take to end once it is told to. Source: Kubernetes' default grace period. */
const POD_GRACE_MS = 30_000;

/** Pods of former attempts that hang on a node that is lost: nobody is there to end them. */
export function isStuck(pod: V1Pod, nodeLost: boolean, now: Date): boolean {
  const deletion = pod.metadata?.deletionTimestamp;
  if (deletion === undefined || !nodeLost) return false;
  return now.getTime() - new Date(deletion).getTime() > POD_GRACE_MS;
}

import type { TrainingJob } from '../../../soap/job/training-job.ts';
import type { AttemptFailure } from '../failures.ts';
import type { Decision } from '../types.ts';
import type { Visit } from '../visit.ts';
import { restart } from './restart.ts';

/** What keeps a pod from a node may pass: its kubelet finds the device again, or others leave. */
const AVOID_MS = 1_800_000;

/**
 * Gives up an attempt whose pods were not all placed, and its plan with it: by the same plan they would wait for the same nodes. The
 * plan in the ConfigMap is not read back, since the status tells of none.
 */
export function replan(visit: Visit, job: TrainingJob, failure: AttemptFailure): Decision {
  const { progress, options } = visit;
  const { unplaced = [] } = failure;
  const lately = [...unplacedNodes(visit)].map((node) => [node, progress.unplaced?.[node] ?? ''] as const);
  const now = unplaced.map((node) => [node, options.now.toISOString()] as const);
  const nodes = Object.fromEntries([...lately, ...now]);
  progress.unplaced = Object.keys(nodes).length === 0 ? undefined : nodes;
  // One that the job gives is the only one there is.
  if (job.spec.plan === undefined) progress.iteration = undefined;
  return { ...restart(visit, job, failure), forgetSearch: true };
}

/** Nodes that did not take pods of the job lately, by name. */
export function unplacedNodes({ progress: { unplaced = {} }, options }: Visit): ReadonlySet<string> {
  const sinceMs = options.now.getTime() - AVOID_MS;
  return new Set(Object.keys(unplaced).filter((node) => Date.parse(unplaced[node] ?? '') > sinceMs));
}

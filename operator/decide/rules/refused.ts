import type { V1Pod } from '@kubernetes/client-node';
import { nodesOf } from '../children.ts';
import { attemptFailure, lossDueMs } from '../failures.ts';
import type { LifetimeSettings } from '../lifetime-settings.ts';
import type { Decision } from '../types.ts';
import type { Visit } from '../visit.ts';
import { attemptOf, currentPlan, end, find, ownPods } from '../visit.ts';
import { goOn, overdue, suspend } from './lifetime.ts';
import { followPods } from './placement.ts';
import { reportProgress } from './progress.ts';

/** How a message says what a job whose spec is refused waits for. */
const UNTIL = 'none is started until the spec is accepted';

/**
 * A job whose spec cannot be followed: pods that it has run on, none is started, and the conditions say how they are. It can be
 * suspended nevertheless, and once it has started its time runs.
 */
export function refuse(
  visit: Visit,
  reason: 'InvalidSpec' | 'ImmutableFieldChanged',
  message: string,
  settings: LifetimeSettings,
): Decision {
  find(visit, 'Accepted', 'False', reason, message);
  const hasPods = visit.progress.fixed !== undefined;
  if (settings.suspend) {
    if (hasPods) return suspend(visit);
    visit.progress.startTime = undefined;
  }
  const late = overdue(visit, settings);
  if (late !== undefined) return late;
  // Without pods there is nothing to tell but what is wrong.
  if (!hasPods) return end(visit, 'Invalid', 'Accepted');
  goOn(visit);
  const current = ownPods(visit).filter((pod) => attemptOf(pod) === visit.progress.attempt);
  return end(visit, 'Invalid', 'Accepted', { requeueAfterMs: tellOfPods(visit, current) });
}

/** @returns when a node that is not ready now will count as lost, in milliseconds; undefined where all are ready */
function tellOfPods(visit: Visit, current: readonly V1Pod[]): number | undefined {
  const { observed, options } = visit;
  const nodes = new Map(observed.nodes.map((node) => [node.metadata?.name ?? '', node]));
  const plan = currentPlan(visit);
  const wanted = plan === undefined ? current.length : nodesOf(plan).length;
  const failure = attemptFailure(current, nodes, options.now);
  if (failure !== undefined) find(visit, 'PodsReady', 'False', 'NotAccepted', `${failure.what}; ${UNTIL}`);
  else if (current.length === 0 || current.length < wanted)
    find(visit, 'PodsReady', 'False', 'NotAccepted', `${current.length} of ${wanted} pods are there; ${UNTIL}`);
  else if (current.every(({ status }) => status?.phase === 'Succeeded'))
    find(visit, 'PodsReady', 'False', 'Finished', 'every pod has done its work');
  else if (followPods(visit, current, wanted) === 'Running' && plan !== undefined) reportProgress(visit, plan);
  return lossDueMs(current, nodes, options.now);
}

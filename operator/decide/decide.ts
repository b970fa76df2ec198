import { parseTrainingJob } from '../../soap/job/parse.ts';
import { problemLines } from '../../soap/schema/problems.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { withHeldKernels } from './held-kernels.ts';
import type { LifetimeSettings } from './lifetime-settings.ts';
import { lifetimeSettings } from './lifetime-settings.ts';
import { withUser } from './pod-user.ts';
import { holdingWorkloads } from './queue.ts';
import { accept } from './rules/accepted.ts';
import { changedIdentity } from './rules/identity.ts';
import { ended, beforeDeadline, overdue, suspended } from './rules/lifetime.ts';
import { refuse } from './rules/refused.ts';
import { lostPlan, run, runAnew } from './rules/run.ts';
import type { DecideOptions, Decision, Observed } from './types.ts';
import type { Visit } from './visit.ts';
import { currentPlan, startVisit } from './visit.ts';

/** Decides what to do for a job, from what is there; no I/O, so that a table of cases can say what it does. */
export function decide(observed: Observed, options: DecideOptions): Decision {
  const { namespace = '', name = '' } = observed.resource.metadata;
  const decision = judge(observed, options);
  const pods = options.fixedUser ? decision.pods.map(withUser) : decision.pods;
  return { ...decision, pods, deleteWorkloads: holdingWorkloads(observed.pods, namespace, name) };
}

function judge(observed: Observed, options: DecideOptions): Decision {
  const visit = startVisit(observed, options);
  const settings = lifetimeSettings(observed.resource.spec);
  const closed = ended(visit, settings.ttlSecondsAfterFinished);
  if (closed !== undefined) return closed;
  const parsed = parseTrainingJob(observed.resource);
  const decision =
    'problems' in parsed
      ? refuse(visit, 'InvalidSpec', problemLines(parsed.problems).join('; '), settings)
      : (changedIdentity(visit, parsed.job, settings) ?? live(visit, withHeldKernels(parsed.job), settings));
  return beforeDeadline(decision, visit, settings.activeDeadlineSeconds);
}

/** A valid job that has not ended. */
function live(visit: Visit, job: TrainingJob, settings: LifetimeSettings): Decision {
  accept(visit);
  const closed = suspended(visit, settings) ?? overdue(visit, settings);
  if (closed !== undefined) return closed;
  const current = currentPlan(visit);
  return current === undefined ? (lostPlan(visit, job) ?? runAnew(visit, job)) : run(visit, job, current);
}

import { parseTrainingJob } from '../../soap/job/parse.ts';
import { problemLines } from '../../soap/job/problems.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { accept } from './rules/accepted.ts';
import { changedIdentity } from './rules/identity.ts';
import { ended, beforeDeadline, overdue, suspended } from './rules/lifetime.ts';
import { planFirst } from './rules/planning.ts';
import { refuse } from './rules/refused.ts';
import { lostPlan, run } from './rules/run.ts';
import type { DecideOptions, Decision, Observed } from './types.ts';
import type { Visit } from './visit.ts';
import { currentPlan, startVisit } from './visit.ts';

/** Decides what to do for a job, from what is there; no I/O, so that a table of cases can say what it does. */
export function decide(observed: Observed, options: DecideOptions): Decision {
  const visit = startVisit(observed, options);
  const parsed = parseTrainingJob(observed.resource);
  const job = 'job' in parsed ? parsed.job : undefined;
  const closed = ended(visit, job?.spec.ttlSecondsAfterFinished);
  if (closed !== undefined) return closed;
  if ('problems' in parsed) {
    const { suspend }: { suspend?: unknown } = Object(observed.resource.spec);
    return refuse(visit, 'InvalidSpec', problemLines(parsed.problems).join('; '), suspend === true);
  }
  const changed = changedIdentity(visit, parsed.job);
  if (changed !== undefined) return changed;
  accept(visit);
  const decision = live(visit, parsed.job);
  return beforeDeadline(decision, visit, parsed.job.spec.activeDeadlineSeconds);
}

/** A valid job that has not ended. */
function live(visit: Visit, job: TrainingJob): Decision {
  const closed = suspended(visit, job) ?? overdue(visit, job);
  if (closed !== undefined) return closed;
  const current = currentPlan(visit);
  return current === undefined ? (lostPlan(visit, job) ?? planFirst(visit, job)) : run(visit, job, current);
}

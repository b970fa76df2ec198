import type { SearchSettings } from '../job/training-job.ts';
import type { Plan } from '../strategy/plan-file.ts';
import { createPlan } from '../strategy/plan-file.ts';
import type { PlanningProblem } from './evaluate.ts';
import { batchOf } from './evaluate.ts';
import type { SearchEnvironment, SearchStatistics } from './search.ts';
import { search } from './search.ts';

/** A found plan with how it was found. */
export interface FoundPlan {
  readonly plan: Plan;
  readonly statistics: SearchStatistics;
}

/** Searches, and writes the result down as a plan that records every choice of the search. */
export function findPlan(
  problem: PlanningProblem,
  settings: SearchSettings,
  environment: SearchEnvironment,
): FoundPlan {
  const { best, baselines, statistics } = search(problem, settings, environment);
  const { seconds, seed, beta, chains, start, proposals } = settings;
  const plan = createPlan(problem.training.graph, problem.cluster, best.strategy, batchOf(problem.training), {
    prediction: best.prediction,
    baselines,
    origin: 'search',
    search: {
      seed,
      seconds,
      ...(proposals === undefined ? {} : { proposalLimit: proposals }),
      beta,
      chains,
      start,
      proposals: statistics.proposals,
      accepted: statistics.accepted,
      stoppedBy: statistics.stoppedBy,
    },
  });
  return { plan, statistics };
}

import type { SearchSettings } from '../job/training-job.ts';
import type { CurvePoint, Plan } from '../plan/plan.ts';
import { createPlan } from '../plan/create-plan.ts';
import { costShares } from './cost-shares.ts';
import type { PlanningProblem } from '../simulator/evaluate.ts';
import { microBatchOpTimesOf } from '../simulator/evaluate.ts';
import type { SearchEnvironment, SearchResult, SearchStatistics } from './search.ts';
import { recordCurve } from './search-curve.ts';
import { search } from './search.ts';
import { searchInThreads } from './threads/search-in-threads.ts';

/** A found plan with how it was found. */
export interface FoundPlan {
  readonly plan: Plan;
  readonly statistics: SearchStatistics;
}

/** Searches in this thread, and writes the result down as a plan that records every choice of the search. */
export function findPlan(
  problem: PlanningProblem,
  settings: SearchSettings,
  environment: SearchEnvironment,
): FoundPlan {
  const { environment: watched, curve } = recordCurve(environment);
  return asPlan(problem, settings, search(problem, settings, watched), curve);
}

/** The same with the chains in threads. */
export async function findPlanInThreads(
  problem: PlanningProblem,
  settings: SearchSettings,
  threads: number,
  environment: SearchEnvironment,
): Promise<FoundPlan> {
  const { environment: watched, curve } = recordCurve(environment);
  return asPlan(problem, settings, await searchInThreads(problem, settings, threads, watched), curve);
}

function asPlan(
  problem: PlanningProblem,
  settings: SearchSettings,
  { best, baselines, statistics }: SearchResult,
  curve: readonly CurvePoint[],
): FoundPlan {
  const { seconds, seed, beta, chains, start, proposals } = settings;
  const plan = createPlan(problem, best.strategy, {
    prediction: best.prediction,
    baselines,
    origin: 'search',
    costs: costShares(problem, best.strategy),
    opTimes: microBatchOpTimesOf(problem, best.strategy),
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
      curve,
    },
  });
  return { plan, statistics };
}

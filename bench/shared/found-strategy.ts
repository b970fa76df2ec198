import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { search } from '../../soap/search/search.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { DEFAULT_SEARCH } from '../../soap/job/search-defaults.ts';

/** Proposals of the search: a count, so that what is found does not depend on the machine's speed. */
const PROPOSALS = 400;

/** What a short search finds; the same each time. */
export function foundStrategy(problem: PlanningProblem): Strategy {
  const settings = {
    seconds: 3600,
    proposals: PROPOSALS,
    seed: 1,
    beta: DEFAULT_SEARCH.beta,
    chains: 2,
    start: ['data', 'random'] as const,
  };
  return search(problem, settings, { nowMs: () => performance.now() }).best.strategy;
}

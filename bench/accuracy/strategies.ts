import { createRandom } from '../../soap/random.ts';
import type { PlanningProblem } from '../../soap/search/evaluate.ts';
import { search } from '../../soap/search/search.ts';
import { dataParallel, expertStrategy, modelParallel } from '../../soap/strategy/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';

/** A strategy by the name that rows of the table have. */
export interface NamedStrategy {
  readonly name: string;
  readonly strategy: Strategy;
}

/** Proposals of the search for the found strategy: a count, so that it does not depend on the machine's speed. */
const PROPOSALS = 400;

/** Data, model, expert, found, and so many random ones. */
export function accuracyStrategies(problem: PlanningProblem, random: number): NamedStrategy[] {
  const { cluster, training } = problem;
  const { graph } = training;
  const rows = [
    { name: 'data', strategy: dataParallel(graph, cluster) },
    { name: 'model', strategy: modelParallel(graph, cluster) },
    { name: 'expert', strategy: expertStrategy(graph, cluster, problem.optimizer) },
    { name: 'found', strategy: foundStrategy(problem) },
  ];
  for (let seed = 1; seed <= random; seed++) {
    const strategy = randomStrategy(graph, cluster, createRandom(seed));
    rows.push({ name: `random ${seed}`, strategy });
  }
  return rows;
}

function foundStrategy(problem: PlanningProblem): Strategy {
  const settings = {
    seconds: 3600,
    proposals: PROPOSALS,
    seed: 1,
    beta: 200,
    chains: 2,
    start: ['data', 'random'] as const,
  };
  return search(problem, settings, { nowMs: () => performance.now() }).best.strategy;
}

import { createRandom } from '../../soap/random.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { dataParallel, expertStrategy, modelParallel } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { foundStrategy } from '../shared/found-strategy.ts';

/** A strategy by the name that rows of the table have. */
export interface NamedStrategy {
  readonly name: string;
  readonly strategy: Strategy;
}

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

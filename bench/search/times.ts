import { dataParallel } from '../../soap/baselines/index.ts';
import { createRandom } from '../../soap/random.ts';
import type { StepOutcome } from '../../soap/search/chain.ts';
import { Chain } from '../../soap/search/chain.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';

/** The value that a share of the others is below; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN;
}

/** Milliseconds that some work takes. */
export function timed(work: () => void): number {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}

/** Times the proposals of a chain that change something, after it has warmed up. */
export function proposalTimes(
  problem: PlanningProblem,
  count: number,
  beta: number,
): Record<'all' | StepOutcome, number[]> {
  const chain = new Chain(problem, dataParallel(problem.training.graph, problem.cluster), beta, createRandom(1));
  const times: Record<'all' | StepOutcome, number[]> = {
    all: [],
    unchanged: [],
    bounded: [],
    rejected: [],
    accepted: [],
  };
  for (let i = -count; i < count; i++) {
    let outcome: StepOutcome = 'unchanged';
    const ms = timed(() => {
      outcome = chain.step();
    });
    if (i < 0) continue;
    times[outcome].push(ms);
    if (outcome !== 'unchanged') times.all.push(ms);
  }
  return times;
}

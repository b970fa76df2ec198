import { hostOf } from '../simulator/host/predict.ts';
import { dataParallel, expertStrategy, modelParallel } from '../baselines/index.ts';
import type { Strategy } from '../strategy/strategy.ts';
import type { Candidate, PlanningProblem, Prediction } from '../simulator/evaluate.ts';
import { evaluate, predictedEnergyOf } from '../simulator/evaluate.ts';
import { onFewerDevices } from './fewer-devices.ts';
import { optcnnStrategy } from './optcnn/optcnn-strategy.ts';
import { smallCaseOptimum } from './optimum/small-case.ts';

/**
 * The strategies that every search is measured against. One that is too fine to be simulated is left out; OptCNN's where the
 * model does not reduce, or not fast enough; data parallelism on `fewer` devices where it is not faster than all of these; and
 * `exact`, the proven optimum of a small case, where the case is not small, another baseline is as fast, or the devices share a
 * host that was measured: what is proven there is not what is predicted.
 */
export type Baselines = Readonly<
  Partial<Record<'data' | 'model' | 'expert' | 'optcnn' | 'fewer' | 'exact', Candidate>>
>;

/** Simulates the baselines of a problem. */
export function baselinesOf(problem: PlanningProblem): Baselines {
  const steps = baselineSteps(problem);
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  return step.value;
}

/**
 * The same in steps, each of which may take seconds where there are hundreds of devices: yields what is known so far before each of
 * them.
 */
export function* baselineSteps(problem: PlanningProblem): Generator<Baselines, Baselines> {
  const { training, cluster, optimizer } = problem;
  const strategies: readonly (readonly [name: keyof Baselines, strategyOf: () => Strategy | undefined])[] = [
    ['data', () => dataParallel(training.graph, cluster)],
    ['model', () => modelParallel(training.graph, cluster)],
    ['expert', () => expertStrategy(training.graph, cluster, optimizer)],
    ['optcnn', () => optcnnStrategy(problem)],
  ];
  yield {};
  // First, since a search that is ended here has a plan then.
  const fewer = candidateOf(problem, onFewerDevices(problem));
  let known: Baselines = {};
  for (const [name, strategyOf] of strategies) {
    yield withFewer(problem, known, fewer);
    const candidate = candidateOf(problem, strategyOf());
    if (candidate !== undefined) known = { ...known, [name]: candidate };
  }
  known = withFewer(problem, known, fewer);
  yield known;
  if (hostOf(cluster, problem.costs) !== undefined) return known;
  const feasible = Object.values(known).filter(({ prediction }) => prediction.feasible);
  const exact = smallCaseOptimum(problem, Math.min(...feasible.map(({ prediction }) => prediction.iterationMs)));
  return exact === undefined ? known : { ...known, exact };
}

function withFewer({ cluster }: PlanningProblem, known: Baselines, fewer: Candidate | undefined): Baselines {
  if (fewer === undefined) return known;
  const energy = ({ prediction }: Candidate): number => predictedEnergyOf(cluster, prediction);
  return Object.values(known).some((other) => energy(other) <= energy(fewer)) ? known : { ...known, fewer };
}

function candidateOf(problem: PlanningProblem, strategy: Strategy | undefined): Candidate | undefined {
  if (strategy === undefined) return undefined;
  const prediction = evaluateOrLeave(problem, strategy);
  return prediction && { strategy, prediction };
}

function evaluateOrLeave(problem: PlanningProblem, strategy: Strategy): Prediction | undefined {
  try {
    return evaluate(problem, strategy);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

import { hostOf } from '../simulator/host/predict.ts';
import { dataParallel, expertStrategy, modelParallel } from '../baselines/index.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { StepSimulation } from '../simulator/delta/step-simulation.ts';
import type { Candidate, PlanningProblem } from '../simulator/evaluate.ts';
import { evaluate, predictedEnergyOf } from '../simulator/evaluate.ts';
import type { TimeLeft } from './baseline-time.ts';
import { NO_BOUND } from './baseline-time.ts';
import { onFewerDevices } from './fewer-devices.ts';
import { optcnnStrategy } from './optcnn/optcnn-strategy.ts';
import { smallCaseOptimum } from './optimum/small-case.ts';

/**
 * The strategies that every search is measured against. One that is too fine to be simulated is left out, in the time that is left where
 * that is bounded; OptCNN's where the model does not reduce, or not fast enough; data parallelism on `fewer` devices where it is not
 * faster than all of these; and `exact`, the proven optimum of a small case, where the case is not small, another baseline is as fast,
 * or the devices share a host that was measured: what is proven there is not what is predicted.
 */
export type Baselines = Readonly<
  Partial<Record<'data' | 'model' | 'expert' | 'optcnn' | 'fewer' | 'exact', Candidate>>
>;

/** What simulating takes for a task: measured on an Intel Xeon core, 0.7 to 0.9 µs with 0.5 to 12 million tasks. */
const TASK_MS = 0.001;

/** Simulates the baselines of a problem. @param timeLeftMs without one, none is left out to save time */
export function baselinesOf(problem: PlanningProblem, timeLeftMs: TimeLeft = NO_BOUND): Baselines {
  const steps = baselineSteps(problem, timeLeftMs);
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  return step.value;
}

/**
 * The same in steps, each of which may take seconds where there are hundreds of devices: yields what is known so far before each of
 * them. Those that most need time, and that no chain starts from, come last; where the time is over, there is one at least.
 */
export function* baselineSteps(
  problem: PlanningProblem,
  timeLeftMs: TimeLeft = NO_BOUND,
): Generator<Baselines, Baselines> {
  const { training, cluster, optimizer } = problem;
  const strategies: readonly (readonly [name: keyof Baselines, strategyOf: () => Strategy | undefined])[] = [
    ['data', () => dataParallel(training.graph, cluster)],
    ['expert', () => expertStrategy(training.graph, cluster, optimizer)],
    ['optcnn', () => optcnnStrategy(problem, timeLeftMs())],
    ['model', () => modelParallel(training.graph, cluster)],
  ];
  yield {};
  // First, since a search that is ended here has a plan then; so it may take what it takes.
  const fewer = candidateOf(
    problem,
    onFewerDevices(problem, () => timeLeftMs() <= 0),
    NO_BOUND,
  );
  let known: Baselines = {};
  for (const [name, strategyOf] of strategies) {
    yield withFewer(problem, known, fewer);
    if (timeLeftMs() <= 0 && fewer !== undefined) continue;
    const candidate = candidateOf(problem, strategyOf(), fewer === undefined ? NO_BOUND : timeLeftMs);
    if (candidate !== undefined) known = inOrder({ ...known, [name]: candidate });
  }
  known = withFewer(problem, known, fewer);
  yield known;
  if (hostOf(cluster, problem.costs) !== undefined || timeLeftMs() <= 0) return known;
  const feasible = Object.values(known).filter(({ prediction }) => prediction.feasible);
  const exact = smallCaseOptimum(problem, Math.min(...feasible.map(({ prediction }) => prediction.iterationMs)));
  return exact === undefined ? known : { ...known, exact };
}

/** As they are shown, and of equal ones preferred. */
function inOrder({ data, model, expert, optcnn }: Baselines): Baselines {
  return { ...(data && { data }), ...(model && { model }), ...(expert && { expert }), ...(optcnn && { optcnn }) };
}

function withFewer({ cluster }: PlanningProblem, known: Baselines, fewer: Candidate | undefined): Baselines {
  if (fewer === undefined) return known;
  const energy = ({ prediction }: Candidate): number => predictedEnergyOf(cluster, prediction);
  return Object.values(known).some((other) => energy(other) <= energy(fewer)) ? known : { ...known, fewer };
}

/** Undefined where it is too fine to be simulated, or there is too little time for what that takes. */
function candidateOf(
  problem: PlanningProblem,
  strategy: Strategy | undefined,
  timeLeftMs: TimeLeft,
): Candidate | undefined {
  if (strategy === undefined) return undefined;
  try {
    const simulation = new StepSimulation(problem, strategy, timeLeftMs() / TASK_MS);
    if (simulation.asksForExactMemory && simulation.exactMemoryMs > timeLeftMs()) return undefined;
    return { strategy, prediction: evaluate(problem, strategy, simulation) };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

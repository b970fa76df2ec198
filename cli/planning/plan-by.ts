import { availableParallelism } from 'node:os';
import process from 'node:process';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import type { PlanningProblem, Prediction } from '../../soap/simulator/evaluate.ts';
import { costShares } from '../../soap/search/cost-shares.ts';
import { excessBytes } from '../../soap/simulator/energy.ts';
import { batchSizeOf } from '../../soap/training/batch-size.ts';
import { evaluate, microBatchOpTimesOf } from '../../soap/simulator/evaluate.ts';
import type { SearchProgress, SearchStatistics } from '../../soap/search/search.ts';
import { findPlanInThreads } from '../../soap/search/find-plan.ts';
import { dataParallel, expertStrategy, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import { resolvePlan } from '../../soap/plan/resolve-plan.ts';
import { largestDivisor } from '../../soap/region/divisors.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { readText } from '../files/read-job.ts';
import { bytes, duration } from '../terminal/format.ts';
import { Progress } from '../terminal/progress.ts';
import { UsageError } from '../command-line/usage-error.ts';
import { baselinesOf } from '../../soap/search/baselines.ts';

/** A plan with how it was found. */
export interface Planned {
  readonly plan: Plan;
  /** Absent where nothing was searched. */
  readonly statistics: SearchStatistics | undefined;
}

/**
 * Makes the plan that a command line asks for: by search, by a baseline's name, or from a plan file.
 * @throws {FileError} for a plan file that does not fit the model
 * @throws {UsageError} for data parallelism over devices that do not divide the batch
 */
export async function planBy(choice: string, problem: PlanningProblem, settings: SearchSettings): Promise<Planned> {
  const { training } = problem;
  if (choice === 'search') return searchPlan(problem, settings);
  if (isBaseline(choice))
    return { plan: planOf(problem, baselineStrategy(choice, problem), choice), statistics: undefined };
  const plan = decodePlan(await readText(choice), choice);
  resolvePlan(plan, training.graph, choice);
  return { plan, statistics: undefined };
}

/**
 * How many devices a choice is for: those of a plan file; undefined where a strategy is made for any number.
 * @throws {FileError} where it is no plan file
 */
export async function plannedDevices(choice: string): Promise<number | undefined> {
  if (choice === 'search' || isBaseline(choice)) return undefined;
  return decodePlan(await readText(choice), choice).cluster.devices.length;
}

/** The predictions that every plan is shown beside. */
function baselinePredictions(problem: PlanningProblem): Record<string, Prediction> {
  return Object.fromEntries(Object.entries(baselinesOf(problem)).map(([name, { prediction }]) => [name, prediction]));
}

const BASELINES = ['data', 'model', 'expert', 'single'] as const;

function isBaseline(choice: string): choice is (typeof BASELINES)[number] {
  return BASELINES.some((name) => name === choice);
}

function baselineStrategy(
  name: (typeof BASELINES)[number],
  { training, cluster, optimizer }: PlanningProblem,
): Strategy {
  const { graph } = training;
  switch (name) {
    case 'data':
      requireEvenBatch(training, cluster);
      return dataParallel(graph, cluster);
    case 'model':
      return modelParallel(graph, cluster);
    case 'expert':
      return expertStrategy(graph, cluster, optimizer);
    case 'single':
      return singleDevice(graph);
  }
}

/** Who asks for data parallelism on so many devices should not be given fewer in silence. */
function requireEvenBatch(training: TrainingGraph, { devices }: Cluster): void {
  const batch = batchSizeOf(training);
  if (batch % devices.length === 0) return;
  throw new UsageError(
    `a batch of ${batch} samples cannot be split over ${devices.length} devices evenly; expected a multiple of ` +
      `${devices.length}; change the batch size, use --devices ${largestDivisor(batch, devices.length)}, or let the search choose`,
  );
}

function planOf(problem: PlanningProblem, strategy: Strategy, origin: string): Plan {
  const prediction = evaluate(problem, strategy);
  const costs = costShares(problem, strategy);
  const context = {
    prediction,
    baselines: baselinePredictions(problem),
    origin,
    costs,
    opTimes: microBatchOpTimesOf(problem, strategy),
  };
  return createPlan(problem, strategy, context);
}

async function searchPlan(problem: PlanningProblem, settings: SearchSettings): Promise<Planned> {
  const progress = new Progress('searching', process.stderr);
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  const { plan, statistics } = await findPlanInThreads(problem, settings, availableParallelism(), {
    nowMs: () => performance.now(),
    signal: abort.signal,
    onBaseline: (bestMs) => {
      const best = bestMs === undefined ? '' : `, best ${duration(bestMs)}`;
      progress.update(0, `looking at the usual strategies${best}`);
    },
    onProgress: (state) => {
      const share = Math.max(state.seconds / settings.seconds, state.proposals / (settings.proposals ?? Infinity));
      progress.update(Math.min(share, 1), `${state.proposals} proposals, ${bestSoFar(state)}`);
    },
  })
    .catch((error: unknown) => {
      progress.close();
      throw error;
    })
    .finally(() => process.off('SIGINT', stop));
  const { feasible, iterationMs, missingMemoryBytes = 0, oversizedMessageBytes = 0 } = plan.prediction;
  const best = bestSoFar({
    bestIterationMs: feasible ? iterationMs : undefined,
    excessBytes: excessBytes({ missingMemoryBytes, oversizedMessageBytes }),
  });
  progress.finish(`${statistics.proposals} proposals, ${best}`);
  return { plan, statistics };
}

function bestSoFar({ bestIterationMs, excessBytes }: Pick<SearchProgress, 'bestIterationMs' | 'excessBytes'>): string {
  if (bestIterationMs !== undefined) return `best ${duration(bestIterationMs)}`;
  return `nothing fits yet, ${bytes(excessBytes)} too much`;
}

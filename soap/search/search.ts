import type { SearchSettings } from '../job/training-job.ts';
import type { Candidate, PlanningProblem, Prediction } from '../simulator/evaluate.ts';
import { baselineTime } from './baseline-time.ts';
import type { Baselines } from './baselines.ts';
import { baselinesOf } from './baselines.ts';
import { excessBytesOf } from '../simulator/energy.ts';
import { evaluate, predictedEnergyOf } from '../simulator/evaluate.ts';
import { hostOf } from '../simulator/host/predict.ts';
import type { ChainProgress, ChainResult, StopReason } from './run-chains.ts';
import { runChains } from './run-chains.ts';
import { chainStarts } from './starts.ts';

/** How a search went. */
export interface SearchStatistics {
  readonly seconds: number;
  readonly proposals: number;
  readonly proposalsPerSecond: number;
  readonly accepted: number;
  readonly stoppedBy: StopReason;
}

export interface SearchResult {
  readonly best: Candidate;
  readonly baselines: Readonly<Record<string, Prediction>>;
  readonly statistics: SearchStatistics;
}

/** How far a search is. */
export interface SearchProgress {
  readonly seconds: number;
  readonly proposals: number;
  readonly accepted: number;
  /** Of the best strategy so far; undefined while none can be executed. */
  readonly bestIterationMs: number | undefined;
  /** What the best strategy so far needs beyond what the devices have, and its messages may have, in all. */
  readonly excessBytes: number;
}

/** What a search needs of the world. */
export interface SearchEnvironment {
  /** Monotonic. */
  nowMs(): number;
  onProgress?(progress: SearchProgress): void;
  /**
   * Called before each baseline is simulated, which takes seconds where there are hundreds of devices; by searches in threads alone.
   * @param bestMs of an iteration by those before it; undefined while none can be executed
   */
  onBaseline?(bestMs: number | undefined): void;
  /** Ends the search with the best so far. */
  readonly signal?: AbortSignal;
}

/**
 * Searches in this thread: chains from the baselines and random starts, see {@link runChains}. The result is the best of all,
 * baselines included, so it is never worse than they are. Without `proposals`, baselines have half of the time. With `proposals` set and time enough, equal settings give equal
 * results on any machine, and the same as `searchInThreads`.
 */
export function search(
  problem: PlanningProblem,
  settings: SearchSettings,
  environment: SearchEnvironment,
): SearchResult {
  const startMs = environment.nowMs();
  const elapsedMs = (): number => environment.nowMs() - startMs;
  const baselines = baselinesOf(problem, baselineTime(settings, elapsedMs));
  const report = progressReporter(problem, baselines, environment, elapsedMs);
  const results = runChains(problem, chainStarts(problem, settings, baselines), settings, {
    elapsedMs,
    onProgress: (progress) => report([progress]),
    isInterrupted: () => environment.signal?.aborted === true,
  });
  return concludeSearch(problem, baselines, results, elapsedMs());
}

/** Turns what chains report into the progress of the whole search. */
export function progressReporter(
  problem: PlanningProblem,
  baselines: Baselines,
  environment: SearchEnvironment,
  elapsedMs: () => number,
): (progress: readonly ChainProgress[]) => void {
  const knownMs = Math.min(...candidatesOf(baselines).map((candidate) => energy(problem, candidate)));
  return (progress) => {
    const energyMs = Math.min(knownMs, ...progress.map((each) => each.energyMs));
    const excessBytes = excessBytesOf(problem.cluster, energyMs);
    environment.onProgress?.({
      seconds: elapsedMs() / 1000,
      proposals: progress.reduce((sum, { proposals }) => sum + proposals, 0),
      accepted: progress.reduce((sum, { accepted }) => sum + accepted, 0),
      bestIterationMs: excessBytes === 0 ? energyMs : undefined,
      excessBytes,
    });
  };
}

/** Of an iteration by the best of these baselines; undefined where none can be executed. */
export function bestKnownMs(baselines: Baselines): number | undefined {
  const feasible = candidatesOf(baselines).filter(({ prediction }) => prediction.feasible);
  return feasible.length === 0 ? undefined : Math.min(...feasible.map(({ prediction }) => prediction.iterationMs));
}

/** Picks the best of baselines and chains: of equal ones the first. @param results none where it was ended before any chain began */
export function concludeSearch(
  problem: PlanningProblem,
  baselines: Baselines,
  results: readonly ChainResult[],
  elapsedMs: number,
): SearchResult {
  const candidates = candidatesOf(baselines);
  // Where the host's costs are known, chains have seen less than predictions say: the best of each is looked at.
  const known = hostOf(problem.cluster, problem.costs) !== undefined;
  const ranked = results.toSorted((a, b) => a.energyMs - b.energyMs);
  for (const { strategy } of ranked) {
    const prediction = evaluate(problem, strategy);
    candidates.push({ strategy, prediction });
    // Chains estimate memory; the exact numbers may say that the best of one does not fit.
    if (!known && prediction.feasible) break;
  }
  const best = candidates.reduce((a, b) => (energy(problem, b) < energy(problem, a) ? b : a));
  const proposals = results.reduce((sum, result) => sum + result.proposals, 0);
  const seconds = elapsedMs / 1000;
  return {
    best,
    baselines: Object.fromEntries(Object.entries(baselines).map(([name, { prediction }]) => [name, prediction])),
    statistics: {
      seconds,
      proposals,
      proposalsPerSecond: seconds > 0 ? proposals / seconds : 0,
      accepted: results.reduce((sum, result) => sum + result.accepted, 0),
      stoppedBy: reasonOf(results),
    },
  };
}

function candidatesOf(baselines: Baselines): Candidate[] {
  return Object.values(baselines);
}

function energy({ cluster }: PlanningProblem, { prediction }: Candidate): number {
  return predictedEnergyOf(cluster, prediction);
}

/** That of the chain that went on longest. */
function reasonOf(results: readonly ChainResult[]): StopReason {
  if (results.length === 0) return 'interrupted';
  const reasons = results.map(({ stoppedBy }) => stoppedBy);
  return (
    (['interrupted', 'budget', 'proposals'] as const).find((reason) => reasons.includes(reason)) ?? 'noImprovement'
  );
}

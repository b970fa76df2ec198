import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { ClusterDescription } from '../../cluster/cluster.ts';
import type { CostRecipe } from '../../cost/cost-source.ts';
import type { TrainingGraph } from '../../training/loss.ts';
import type { OptimizerName, SearchSettings } from '../../job/training-job.ts';
import type { TaskOptions } from '../../tasks/task-options.ts';
import { taskOptions } from '../../tasks/task-options.ts';
import type { PlanningProblem } from '../../simulator/evaluate.ts';
import type { TimeLeft } from '../baseline-time.ts';
import { baselineTime } from '../baseline-time.ts';
import type { Baselines } from '../baselines.ts';
import { baselineSteps } from '../baselines.ts';
import type { ChainProgress, ChainResult, ChainStart } from '../run-chains.ts';
import type { SearchEnvironment, SearchResult } from '../search.ts';
import { bestKnownMs, concludeSearch, progressReporter } from '../search.ts';
import { chainStarts } from '../starts.ts';

const THREAD = new URL('search-thread.ts', import.meta.url);

/** What a thread is given. */
export interface ThreadRequest {
  readonly training: TrainingGraph;
  readonly cluster: ClusterDescription;
  readonly costs: CostRecipe;
  readonly optimizer: OptimizerName | undefined;
  readonly options: TaskOptions;
  readonly starts: readonly ChainStart[];
  readonly settings: Pick<SearchSettings, 'seconds' | 'beta'>;
  /** Of the search, when the thread is started. */
  readonly elapsedMs: number;
  /** Shared: its one element is 1 once the search is to end. */
  readonly interrupted: Int32Array;
}

/** What a thread says. */
export type ThreadMessage = { readonly progress: ChainProgress } | { readonly results: readonly ChainResult[] };

/**
 * Searches with the chains dealt out to threads; this thread stays free. The result does not depend on how many threads there
 * are, where proposals are counted.
 */
export async function searchInThreads(
  problem: PlanningProblem,
  settings: SearchSettings,
  threads: number,
  environment: SearchEnvironment,
): Promise<SearchResult> {
  const startMs = environment.nowMs();
  const elapsedMs = (): number => environment.nowMs() - startMs;
  const baselines = await baselinesUntilStopped(problem, baselineTime(settings, elapsedMs), environment);
  const starts = environment.signal?.aborted === true ? [] : chainStarts(problem, settings, baselines);
  const count = Math.min(threads, starts.length);
  const report = progressReporter(problem, baselines, environment, elapsedMs);
  const progress = new Map<number, ChainProgress>();
  const interrupted = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const interrupt = (): void => void Atomics.store(interrupted, 0, 1);
  if (environment.signal?.aborted === true) interrupt();
  environment.signal?.addEventListener('abort', interrupt, { once: true });
  const dealt = await Promise.all(
    Array.from({ length: count }, (_, thread) =>
      runThread(
        {
          training: problem.training,
          cluster: problem.cluster.description,
          costs: problem.costs.recipe,
          optimizer: problem.optimizer,
          options: taskOptions(problem),
          starts: starts.filter((__, i) => i % count === thread),
          settings: { seconds: settings.seconds, beta: settings.beta },
          elapsedMs: elapsedMs(),
          interrupted,
        },
        (latest) => {
          progress.set(thread, latest);
          report([...progress.values()]);
        },
      ),
    ),
  ).finally(() => {
    // Where one has failed, what the others would find is of no use.
    interrupt();
    environment.signal?.removeEventListener('abort', interrupt);
  });
  const results = starts.map((_, i) => dealt[i % count]![Math.floor(i / count)]!);
  return concludeSearch(problem, baselines, results, elapsedMs());
}

/** Those that are known when the search is told to end, at least one where there is one; else all. */
async function baselinesUntilStopped(
  problem: PlanningProblem,
  timeLeftMs: TimeLeft,
  environment: SearchEnvironment,
): Promise<Baselines> {
  const steps = baselineSteps(problem, timeLeftMs);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return step.value;
    environment.onBaseline?.(bestKnownMs(step.value));
    // Lets signals in.
    await setImmediate();
    if (environment.signal?.aborted === true && Object.keys(step.value).length > 0) return step.value;
  }
}

function runThread(
  request: ThreadRequest,
  onProgress: (progress: ChainProgress) => void,
): Promise<readonly ChainResult[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(THREAD, { workerData: request });
    worker.on('message', (message: ThreadMessage) => {
      if ('progress' in message) onProgress(message.progress);
      else resolve(message.results);
    });
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('a search thread ended without a result')));
  });
}

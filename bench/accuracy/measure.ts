import { runLocally } from '../../cli/local-run.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { evaluate } from '../../soap/search/evaluate.ts';
import { createPlan } from '../../soap/strategy/plan-file.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import type { Span } from '../../runtime/program/recorder.ts';
import { medianAndSpread } from '../../runtime/profile/measure-kernel.ts';
import type { AccuracyCase } from './cases.ts';

/** Steps before times count: they compile, and caches warm up. */
export const WARM_UP_STEPS = 8;

/** What an iteration takes, as trained on local processes. */
export interface MeasuredRun {
  /** Median time from one step's end to the next one's on the first device. */
  readonly iterationMs: number;
  readonly spread: number;
  readonly spans: readonly (readonly Span[])[];
}

/** Trains a case under a strategy. */
export async function measureRun(
  { job, directory, training }: AccuracyCase,
  cluster: Cluster,
  strategy: Strategy,
): Promise<MeasuredRun> {
  const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
  const plan = createPlan({ training, cluster }, strategy, { prediction, baselines: {}, origin: 'bench' });
  const steps = job.spec.training.steps!;
  const doneMs: number[] = [];
  const spans: (readonly Span[])[] = cluster.devices.map(() => []);
  await runLocally({
    job,
    directory,
    plan,
    resume: false,
    metricsPort: 0,
    record: { skip: WARM_UP_STEPS, count: steps - WARM_UP_STEPS },
    stop: new AbortController().signal,
    signal: new AbortController().signal,
    onEvent: (device, event) => {
      if (event.type === 'step' && device === 0) doneMs.push(event.doneMs);
      if (event.type === 'spans') spans[device] = event.spans;
    },
    onMetrics: () => undefined,
  });
  const periods = doneMs.slice(WARM_UP_STEPS + 1).map((ms, i) => ms - doneMs[WARM_UP_STEPS + i]!);
  const { us: iterationMs, spread } = medianAndSpread(periods);
  return { iterationMs, spread, spans };
}

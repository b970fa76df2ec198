import type { Cluster } from '../../soap/cluster/cluster.ts';
import { localCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { createRandom } from '../../soap/random.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { dataParallel, modelParallel } from '../../soap/baselines/index.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import type { Span } from '../../runtime/program/recorder.ts';
import { runLocally } from '../run/local-run.ts';
import { roundFactors } from './drift.ts';
import { besideOthers } from './other-load.ts';
import type { ProfileTarget } from './target.ts';
import { FIRST_STEPS, middleMean, SteadySteps } from './steady.ts';
import { median, typicalStep } from './typical-step.ts';

/** Steps of a probe at most. */
export const PROBE_STEPS = 20_000;

/** The last steps of a probe, whose spans are kept: more than two windows have of the shortest ones. */
const KEPT_STEPS = 2000;

/** Random strategies of each number of devices. Their seeds are of their own: nothing else is drawn from them. */
const RANDOM_PROBES = 5;
const FIRST_SEED = 1001;

/** A strategy to run for what it costs the host. */
export interface Probe {
  readonly cluster: Cluster;
  readonly strategy: Strategy;
}

/** Data and model parallelism and random strategies, on as many devices as there are cores and on twice as many. */
export function probesOf({ training: { graph } }: ProfileTarget, cores: number): Probe[] {
  return [Math.max(2, cores), 2 * Math.max(2, cores)].flatMap((devices) => {
    const cluster = localCluster(devices);
    const random = Array.from({ length: RANDOM_PROBES }, (_, i) =>
      randomStrategy(graph, cluster, createRandom(FIRST_SEED + i)),
    );
    return [dataParallel(graph, cluster), modelParallel(graph, cluster), ...random].map((strategy) => ({
      cluster,
      strategy,
    }));
  });
}

/** What an iteration takes, as trained on local processes. */
export interface MeasuredRun {
  /** From one step's end to the next one's on the first device: the mean of the middle half, which neither disturbances move nor turns. */
  readonly iterationMs: number;
  /** By device, of a step that stands for those that count. */
  readonly spans: readonly (readonly Span[])[];
  /** Cores that other processes kept busy meanwhile; undefined where the system does not tell. */
  readonly otherCores: number | undefined;
}

/**
 * Trains a target's job under a strategy.
 * @throws {Error} where the run fails
 */
export async function measureRun(target: ProfileTarget, probe: Probe, signal: AbortSignal): Promise<MeasuredRun> {
  const { result, otherCores } = await besideOthers(() => trainOnce(target, probe, signal));
  return { ...result, otherCores };
}

async function trainOnce(
  { job, directory, training }: ProfileTarget,
  { cluster, strategy }: Probe,
  signal: AbortSignal,
): Promise<Omit<MeasuredRun, 'otherCores'>> {
  const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
  const plan = createPlan({ training, cluster }, strategy, { prediction, baselines: {}, origin: 'profile' });
  const steps = new SteadySteps();
  const enough = new AbortController();
  const spans: (readonly Span[])[] = cluster.devices.map(() => []);
  await runLocally({
    job,
    directory,
    plan,
    resume: false,
    metricsPort: 0,
    record: { skip: FIRST_STEPS, count: PROBE_STEPS, keeps: KEPT_STEPS },
    stop: enough.signal,
    signal,
    onEvent: (device, event) => {
      if (event.type === 'step' && device === 0 && !enough.signal.aborted && steps.add(event.doneMs)) enough.abort();
      if (event.type === 'spans') spans[device] = event.spans;
    },
    onMetrics: () => undefined,
  });
  return {
    iterationMs: middleMean(steps.stepsMs),
    spans: spans.map((list) => typicalStep(list.filter(({ step }) => step > steps.before))),
  };
}

/** A run as it was in one round. */
export interface RoundOfRun {
  readonly run: number;
  readonly round: number;
  readonly measured: MeasuredRun;
}

/**
 * By run, what it took in each of its rounds, had all rounds been equally fast: see {@link roundFactors}.
 * @param runs how many there are; those that were never measured have no rounds
 */
export function evenRounds(runs: number, rounds: readonly RoundOfRun[]): MeasuredRun[][] {
  const factors = roundFactors(rounds.map(({ run, round, measured }) => ({ run, round, ms: measured.iterationMs })));
  const byRun = Array.from({ length: runs }, (): MeasuredRun[] => []);
  for (const { run, round, measured } of rounds)
    byRun[run]!.push({ ...measured, iterationMs: measured.iterationMs / factors.get(round)! });
  return byRun;
}

/** How far runs of the same may be apart before one more is to decide. */
const MAX_APART = 0.08;

/** Whether runs of the same are so far apart that one more is to decide between them. */
export function disagree(runs: readonly MeasuredRun[]): boolean {
  const times = runs.map(({ iterationMs }) => iterationMs);
  return times.length > 0 && Math.max(...times) > (1 + MAX_APART) * Math.min(...times);
}

/** What several runs of the same come to: the machine changes within minutes, so that each alone says what it was then. */
export function overRounds(runs: readonly MeasuredRun[]): MeasuredRun {
  const loads = runs.flatMap(({ otherCores }) => otherCores ?? []);
  return {
    iterationMs: median(runs.map(({ iterationMs }) => iterationMs)),
    spans: runs[0]!.spans.map((_, device) =>
      typicalStep(runs.flatMap(({ spans }, step) => spans[device]!.map((span) => ({ ...span, step })))),
    ),
    otherCores: loads.length === 0 ? undefined : median(loads),
  };
}

import { availableParallelism } from 'node:os';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { KernelProfile } from '../../cli/profile/profile-machine.ts';
import { measureKernels } from '../../cli/profile/profile-machine.ts';
import type { MeasuredRun, Probe } from '../../cli/profile/probe.ts';
import { disagree, measureRun, probesOf } from '../../cli/profile/probe.ts';
import type { ProfileTarget } from '../../cli/profile/target.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { inRounds } from '../../cli/profile/rounds.ts';
import { firstProblem } from './problem.ts';
import { accuracyStrategies } from './strategies.ts';

/** A strategy on some devices, that is predicted or that predictions are fitted to. */
export interface AccuracyRun {
  readonly role: 'row' | 'probe';
  readonly name: string;
  readonly devices: number;
  readonly strategy: Strategy;
}

/** A run as it was in one round. */
export interface RoundOfRun {
  readonly run: number;
  readonly round: number;
  readonly measured: MeasuredRun;
}

/** All that is measured of a model. */
export interface CaseMeasurements {
  readonly model: string;
  readonly kernels: KernelProfile;
  readonly runs: readonly AccuracyRun[];
  readonly rounds: readonly RoundOfRun[];
}

export interface MeasureOptions {
  readonly devices: readonly number[];
  /** Random strategies of each number of devices. */
  readonly random: number;
  /** How often each is measured; once more where these times disagree. */
  readonly rounds: number;
  /** Where measurements are kept, so that a run that was ended goes on where it was; nowhere where undefined. */
  readonly save: string | undefined;
}

/** Seconds for the kernels of a model. */
const KERNEL_SECONDS = 60;

/**
 * Measures a model: its kernels, then all strategies, rows and probes, in rounds, each round in an order of its own: the machine changes
 * within minutes, and so it does for all of them alike.
 * @param log hears what was measured
 */
export async function measureCase(
  model: string,
  target: ProfileTarget,
  options: MeasureOptions,
  log: (line: string) => void,
): Promise<CaseMeasurements> {
  const path = options.save === undefined ? undefined : measurementsPath(options.save, model);
  const saved = path !== undefined && existsSync(path) ? readMeasurements(path) : undefined;
  const { kernels, runs } = saved ?? (await prepare(target, options));
  const rounds = [...(saved?.rounds ?? [])];
  const keep = (): void => {
    if (path !== undefined) writeFileSync(path, JSON.stringify({ model, kernels, runs, rounds }));
  };
  keep();
  const ofRun = (run: number): MeasuredRun[] => rounds.flatMap((each) => (each.run === run ? each.measured : []));
  for (const { round, index: run } of inRounds(runs.length, options.rounds + 1)) {
    if (rounds.some((done) => done.run === run && done.round === round)) continue;
    if (round === options.rounds && !disagree(ofRun(run))) continue;
    const { name, role, devices } = runs[run]!;
    const measured = await measureRun(target, probeOf(target, kernels, runs[run]!), new AbortController().signal);
    rounds.push({ run, round, measured });
    log(`${model}, round ${round + 1}, ${role} ${name} on ${devices}: ${measured.iterationMs.toFixed(2)} ms`);
    keep();
  }
  return { model, kernels, runs, rounds };
}

/** Where a model's measurements are kept. */
export function measurementsPath(save: string, model: string): string {
  return `${save}.${model}.json`;
}

/** What was saved of a model. */
export function readMeasurements(path: string): CaseMeasurements {
  const measurements: CaseMeasurements = JSON.parse(readFileSync(path, 'utf8'));
  return measurements;
}

/** A run on the cluster that its strategy was made for. */
export function probeOf(
  target: ProfileTarget,
  kernels: KernelProfile,
  { role, devices, strategy }: AccuracyRun,
): Probe {
  const { cluster, plain } = firstProblem(target, kernels, devices);
  return { cluster: role === 'row' ? cluster : plain, strategy };
}

async function prepare(
  target: ProfileTarget,
  { devices, random }: MeasureOptions,
): Promise<Pick<CaseMeasurements, 'kernels' | 'runs'>> {
  const kernels = await measureKernels(target, {
    known: undefined,
    devices: Math.max(...devices),
    seconds: KERNEL_SECONDS,
    kernelsOnly: false,
    signal: new AbortController().signal,
  });
  const rows = devices.flatMap((count) =>
    accuracyStrategies(firstProblem(target, kernels, count), random).map((each): AccuracyRun => ({
      ...each,
      role: 'row',
      devices: count,
    })),
  );
  const probes = probesOf(target, availableParallelism()).map(({ cluster, strategy }, i): AccuracyRun => ({
    role: 'probe',
    name: String(i),
    devices: cluster.devices.length,
    strategy,
  }));
  return { kernels, runs: [...rows, ...probes] };
}

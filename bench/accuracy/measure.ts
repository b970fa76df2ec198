import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { KernelProfile } from '../../cli/profile/profile-machine.ts';
import { ON_A_CORE } from '../../cli/profile/measured-on.ts';
import { measureKernels } from '../../cli/profile/profile-machine.ts';
import type { MeasuredRun, Probe, RoundOfRun } from '../../cli/profile/probe.ts';
import { evenRounds, measureRun, probesOf } from '../../cli/profile/probe.ts';
import type { ProfileTarget } from '../../cli/profile/target.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';
import { randomStrategies } from './cases.ts';
import { firstProblem } from './problem.ts';
import { accuracyStrategies } from './strategies.ts';

/** A strategy on some devices, that is predicted or that predictions are fitted to. */
export interface AccuracyRun {
  readonly role: 'row' | 'probe';
  readonly name: string;
  readonly devices: number;
  readonly strategy: Strategy;
}

/** A run as it was in one round, and how long it took with all that belongs to it; that is missing from files of older versions. */
export interface TimedRound extends RoundOfRun {
  readonly tookMs?: number;
}

/** All that is measured of a model. */
export interface CaseMeasurements {
  readonly model: string;
  readonly kernels: KernelProfile;
  readonly runs: readonly AccuracyRun[];
  readonly rounds: readonly TimedRound[];
}

export interface MeasureOptions {
  readonly devices: readonly number[];
  /** Random strategies of each number of devices. */
  readonly random: number;
  /** How often each is measured at least. */
  readonly rounds: number;
  /** Where measurements are kept, so that a run that was ended goes on where it was; nowhere where undefined. */
  readonly save: string | undefined;
}

/** Seconds for the kernels of a model. */
const KERNEL_SECONDS = 60;

/** A run takes some three to nine seconds; one that takes so long hangs. */
const LONGEST_RUN_MS = 120_000;

/** A model with what was measured of it so far. */
export interface CaseUnderway {
  readonly target: ProfileTarget;
  readonly measured: CaseMeasurements;
}

/**
 * Starts with a model: goes on with what was saved of it, or measures its kernels and finds its strategies.
 * @throws {Error} where what was saved is of other kernels
 */
export async function beginCase(model: string, target: ProfileTarget, options: MeasureOptions): Promise<CaseUnderway> {
  const path = options.save === undefined ? undefined : measurementsPath(options.save, model);
  if (path !== undefined && existsSync(path)) return { target, measured: readMeasurements(path) };
  return { target, measured: { model, ...(await prepare(model, target, options)), rounds: [] } };
}

/**
 * Measures a run in a round, and keeps it.
 * @throws {Error} where training fails
 */
export async function measureOnce(
  { target, measured }: CaseUnderway,
  { run, round }: Pick<TimedRound, 'run' | 'round'>,
  save: string | undefined,
): Promise<CaseUnderway> {
  const { model, kernels, runs } = measured;
  const startMs = performance.now();
  const once = await measureRun(target, probeOf(target, kernels, runs[run]!), AbortSignal.timeout(LONGEST_RUN_MS));
  if (!(once.iterationMs > 0)) throw new Error(`no iteration was timed within ${LONGEST_RUN_MS / 1000} s`);
  const rounds = [...measured.rounds, { run, round, measured: once, tookMs: performance.now() - startMs }];
  const after = { target, measured: { ...measured, rounds } };
  if (save !== undefined) writeMeasurements(measurementsPath(save, model), after.measured);
  return after;
}

/** Whether two runs are the same but for their names: rows that share a strategy are measured once. */
function isSameRow(a: AccuracyRun, b: AccuracyRun): boolean {
  return (
    a.role === 'row' &&
    b.role === 'row' &&
    a.devices === b.devices &&
    JSON.stringify(a.strategy) === JSON.stringify(b.strategy)
  );
}

/** By run, the first that is the same, itself as a rule. Probes are always themselves, since rows are predicted by them. */
export function firstAlike(runs: readonly AccuracyRun[]): number[] {
  return runs.map((run, index) => {
    const first = runs.findIndex((other) => isSameRow(other, run));
    return first < 0 ? index : first;
  });
}

/** By run, what it and those that are the same took, had all rounds been equally fast. */
export function evenRuns({ runs, rounds }: CaseMeasurements): MeasuredRun[][] {
  const alone = evenRounds(runs.length, rounds);
  const first = firstAlike(runs);
  return first.map((index) => alone.filter((_, other) => first[other] === index).flat());
}

/** Where a model's measurements are kept. */
export function measurementsPath(save: string, model: string): string {
  return `${save}.${model}.json`;
}

/** What was saved of a model. @throws {Error} where its kernels are others than those of this version */
function readMeasurements(path: string): CaseMeasurements {
  const measurements: CaseMeasurements = JSON.parse(readFileSync(path, 'utf8'));
  const kernels = measurements.kernels.table.devices.map((each) => each.kernels);
  if (!kernels.includes(KERNELS_VERSION)) {
    throw new Error(
      `${path} is of kernels '${kernels.join("', '")}', and this version has '${KERNELS_VERSION}': measure anew, with another --save`,
    );
  }
  return measurements;
}

/** Whoever ends the bench amid writing keeps what was there before. */
function writeMeasurements(path: string, measurements: CaseMeasurements): void {
  writeFileSync(`${path}.new`, JSON.stringify(measurements));
  renameSync(`${path}.new`, path);
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
  model: string,
  target: ProfileTarget,
  { devices, random }: MeasureOptions,
): Promise<Pick<CaseMeasurements, 'kernels' | 'runs'>> {
  const kernels = await measureKernels(target, {
    on: ON_A_CORE,
    known: undefined,
    devices: Math.max(...devices),
    seconds: KERNEL_SECONDS,
    kernelsOnly: false,
    signal: new AbortController().signal,
  });
  const rows = devices.flatMap((count) =>
    accuracyStrategies(firstProblem(target, kernels, count), randomStrategies(model, random)).map(
      (each): AccuracyRun => ({
        ...each,
        role: 'row',
        devices: count,
      }),
    ),
  );
  const probes = probesOf(target, availableParallelism()).map(({ cluster, strategy }, i): AccuracyRun => ({
    role: 'probe',
    name: String(i),
    devices: cluster.devices.length,
    strategy,
  }));
  return { kernels, runs: [...rows, ...probes] };
}

import { availableParallelism } from 'node:os';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { KernelProfile } from '../../cli/profile/profile-machine.ts';
import { measureKernels } from '../../cli/profile/profile-machine.ts';
import type { Probe, RoundOfRun } from '../../cli/profile/probe.ts';
import { disagree, evenRounds, measureRun, probesOf } from '../../cli/profile/probe.ts';
import type { ProfileTarget } from '../../cli/profile/target.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { inRounds } from '../../cli/profile/rounds.ts';
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

/** A model with what was measured of it so far. */
export interface CaseUnderway {
  readonly target: ProfileTarget;
  readonly measured: CaseMeasurements;
}

/** Starts with a model: goes on with what was saved of it, or measures its kernels and finds its strategies. */
export async function beginCase(model: string, target: ProfileTarget, options: MeasureOptions): Promise<CaseUnderway> {
  const path = options.save === undefined ? undefined : measurementsPath(options.save, model);
  if (path !== undefined && existsSync(path)) return { target, measured: readMeasurements(path) };
  return { target, measured: { model, ...(await prepare(model, target, options)), rounds: [] } };
}

/**
 * Measures all strategies of a model once, rows and probes mixed, in an order that each round has of its own: the machine changes within
 * minutes, and so it does for all of them alike. The round after the last measures those once more whose times disagree.
 * @param log hears what was measured
 */
export async function measureRound(
  { target, measured }: CaseUnderway,
  round: number,
  options: MeasureOptions,
  log: (line: string) => void,
): Promise<CaseUnderway> {
  const { model, kernels, runs } = measured;
  const rounds = [...measured.rounds];
  const even = evenRounds(runs.length, rounds);
  const turns = inRounds(runs.length, round + 1).filter((turn) => turn.round === round);
  for (const { index: run } of turns) {
    if (rounds.some((done) => done.run === run && done.round === round)) continue;
    if (round === options.rounds && !disagree(even[run]!)) continue;
    const { name, role, devices } = runs[run]!;
    const once = await measureRun(target, probeOf(target, kernels, runs[run]!), new AbortController().signal);
    rounds.push({ run, round, measured: once });
    log(`${model}, round ${round + 1}, ${role} ${name} on ${devices}: ${once.iterationMs.toFixed(2)} ms`);
    if (options.save !== undefined)
      writeFileSync(measurementsPath(options.save, model), JSON.stringify({ ...measured, rounds }));
  }
  return { target, measured: { ...measured, rounds } };
}

/** Where a model's measurements are kept. */
export function measurementsPath(save: string, model: string): string {
  return `${save}.${model}.json`;
}

/** What was saved of a model. */
function readMeasurements(path: string): CaseMeasurements {
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
  model: string,
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

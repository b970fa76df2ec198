import { availableParallelism } from 'node:os';
import process from 'node:process';
import type { CostTable, DeviceCosts } from '../../soap/cost/cost-table.ts';
import { createCostTable, mergeCostTables, workKey } from '../../soap/cost/cost-table.ts';
import { measureMessages } from '../../runtime/profile/measure-messages.ts';
import { profileKernels } from '../../runtime/profile/profile-kernels.ts';
import { Progress } from '../terminal/progress.ts';
import type { FittedHost, MeasuredProbe } from './fit-host.ts';
import { fitToProbes } from './fit-host.ts';
import type { MeasuredOn } from './measured-on.ts';
import type { Probe, RoundOfRun } from './probe.ts';
import { disagree, evenRounds, measureRun, overRounds, probesOf } from './probe.ts';
import { inRounds } from './rounds.ts';
import type { ProfileTarget } from './target.ts';

/** What is measured of this machine, and how long it may take. */
export interface ProfileSettings {
  readonly on: MeasuredOn;
  /** What is known already; undefined for nothing. */
  readonly known: CostTable | undefined;
  readonly devices: number;
  /** For kernels. */
  readonly seconds: number;
  readonly kernelsOnly: boolean;
  /** Aborting it ends the profile with what there is. */
  readonly signal: AbortSignal;
}

/** The same, with what is measured of iterations. */
export interface MachineProfileSettings extends ProfileSettings {
  /** How often each iteration is measured; once more where these times disagree. */
  readonly rounds: number;
}

/** What a profile gives. */
export interface MachineProfile {
  /** All that is known now. */
  readonly table: CostTable;
  /** What is new in it. */
  readonly measured: DeviceCosts;
  /** Kernels for which there was no time. */
  readonly missing: number;
}

/** What is measured before any iteration is run. */
export interface KernelProfile {
  /** All kernels that are known now. */
  readonly table: CostTable;
  /** Those that are new. */
  readonly entries: DeviceCosts['entries'];
  /** Start of a kernel by itself, microseconds. */
  readonly startUs: number;
  readonly messages: DeviceCosts['messages'];
  /** Kernels for which there was no time. */
  readonly missing: number;
}

/** Measures a model on this machine: kernels that are not known, messages, and iterations that the host's costs are fitted to. */
export async function profileMachine(target: ProfileTarget, settings: MachineProfileSettings): Promise<MachineProfile> {
  const { on, known = createCostTable([]), kernelsOnly, rounds, signal } = settings;
  const kernels = await measureKernels(target, settings);
  const { missing, table } = kernels;
  const measured = deviceCosts(on, kernels);
  if (kernelsOnly || !on.withIterations || signal.aborted) return { table, measured, missing };
  const all = { ...measured, ...(await profileHost(target, kernels, rounds, signal)) };
  return { table: mergeCostTables(known, createCostTable([all])), measured: all, missing };
}

/** Measures kernels of a model that are not known, and messages where they are asked for. */
export async function measureKernels(
  { planned, job }: ProfileTarget,
  { on, known = createCostTable([]), devices, seconds, kernelsOnly, signal }: ProfileSettings,
): Promise<KernelProfile> {
  const progress = new Progress('measuring kernels', process.stderr);
  const { startUs, entries, missing } = await profileKernels(
    {
      training: planned,
      devices,
      optimizer: job.spec.training.optimizer,
      known: known.devices.filter((each) => isOf(each, on)).flatMap((each) => each.entries.map(workKey)),
      limitMs: 1000 * seconds,
      engine: on.engine,
    },
    (done, of) => progress.update(of === 0 ? 1 : done / of, `${done} of ${of} kernels`),
    signal,
  );
  progress.finish(`${entries.length} kernels`);
  const withMessages = on.withIterations && !kernelsOnly && !signal.aborted;
  const messages = withMessages ? ((await unlessEnded(signal, measureMessages())) ?? []) : [];
  const measured = { entries, startUs, messages };
  return { table: mergeCostTables(known, createCostTable([deviceCosts(on, measured)])), ...measured, missing };
}

function deviceCosts(
  { deviceType, kernels }: MeasuredOn,
  { entries, startUs, messages }: Pick<KernelProfile, 'entries' | 'startUs' | 'messages'>,
): DeviceCosts {
  return { deviceType, kernels, measured: new Date().toISOString(), entries, messages, startUs };
}

function isOf({ deviceType, kernels }: DeviceCosts, on: MeasuredOn): boolean {
  return deviceType === on.deviceType && kernels === on.kernels;
}

/** Fits the costs of the host to iterations of a model. Undefined where that is ended early. */
async function profileHost(
  target: ProfileTarget,
  kernels: KernelProfile,
  usualRounds: number,
  signal: AbortSignal,
): Promise<FittedHost | undefined> {
  const probes = probesOf(target, availableParallelism());
  const rounds = await measureProbes(target, probes, usualRounds, signal);
  if (rounds === undefined) return undefined;
  const runs = evenRounds(probes.length, rounds);
  const measured = probes.map((probe, i): MeasuredProbe => ({ ...probe, run: overRounds(runs[i]!) }));
  return fitToProbes(target, kernels, measured);
}

/**
 * Runs probes in rounds, each in an order of its own: the machine changes within minutes, and so it does for all of them alike. Those
 * whose times disagree run once more. Undefined where that is ended early.
 */
async function measureProbes(
  target: ProfileTarget,
  probes: readonly Probe[],
  usualRounds: number,
  signal: AbortSignal,
): Promise<RoundOfRun[] | undefined> {
  const turns = inRounds(probes.length, usualRounds + 1);
  const deciding = turns.splice(usualRounds * probes.length);
  const rounds: RoundOfRun[] = [];
  const progress = new Progress('running iterations', process.stderr);
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
    const all = rounds.length + 1 + turns.length;
    progress.update(rounds.length / all, `${rounds.length} of ${all} runs`);
    const { round, index } = turn;
    const measured = signal.aborted ? undefined : await unlessEnded(signal, measureRun(target, probes[index]!, signal));
    if (measured === undefined) {
      progress.close();
      return undefined;
    }
    rounds.push({ run: index, round, measured });
    if (rounds.length === usualRounds * probes.length) {
      const runs = evenRounds(probes.length, rounds);
      turns.push(...deciding.filter((each) => disagree(runs[each.index]!)));
    }
  }
  progress.finish(`${rounds.length} runs`);
  return rounds;
}

/** What a measurement gives; undefined where it failed because it was ended: Ctrl-C on a terminal ends all its processes. */
async function unlessEnded<T>(signal: AbortSignal, measurement: Promise<T>): Promise<T | undefined> {
  try {
    return await measurement;
  } catch (error) {
    if (!signal.aborted) throw error;
    return undefined;
  }
}

import { access } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import type { CostTable, DeviceCosts, HostCosts } from '../../soap/cost/cost-table.ts';
import { createCostTable, decodeCostTable, mergeCostTables, workKey } from '../../soap/cost/cost-table.ts';
import { LOCAL_CPU } from '../../soap/cluster/device-types.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';
import { hostPrior } from '../../soap/simulator/host/prior.ts';
import { measureMessages } from '../../runtime/profile/measure-messages.ts';
import { profileKernels } from '../../runtime/profile/profile-kernels.ts';
import { freePorts } from '../local-run.ts';
import { readText } from '../read-job.ts';
import { Progress } from '../terminal/progress.ts';
import type { MeasuredProbe } from './fit-host.ts';
import { fitToProbes } from './fit-host.ts';
import { measureRun, probesOf } from './probe.ts';
import type { ProfileTarget } from './target.ts';

/** What is measured of this machine, and how long it may take. */
export interface ProfileSettings {
  /** What is known already; undefined for nothing. */
  readonly known: CostTable | undefined;
  readonly devices: number;
  /** For kernels. */
  readonly seconds: number;
  readonly kernelsOnly: boolean;
  /** Aborting it ends the profile with what there is. */
  readonly signal: AbortSignal;
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

/** The table of a file, or undefined where there is none. @throws {FileError} where it is no table */
export async function tableAt(path: string): Promise<CostTable | undefined> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  return exists ? decodeCostTable(await readText(path), path) : undefined;
}

/** Measures a model on this machine: kernels that are not known, messages, and iterations that the host's costs are fitted to. */
export async function profileMachine(target: ProfileTarget, settings: ProfileSettings): Promise<MachineProfile> {
  const { known = createCostTable([]), devices, seconds, kernelsOnly, signal } = settings;
  const { training, job } = target;
  const progress = new Progress('measuring kernels', process.stderr);
  const { startUs, entries, missing } = await profileKernels(
    {
      graph: training.graph,
      devices,
      optimizer: job.spec.training.optimizer,
      known: ofThisMachine(known).flatMap((each) => each.entries.map(workKey)),
      limitMs: 1000 * seconds,
    },
    (done, of) => progress.update(of === 0 ? 1 : done / of, `${done} of ${of} kernels`),
  );
  progress.finish(`${entries.length} kernels`);
  const measured: DeviceCosts = {
    deviceType: LOCAL_CPU.type,
    kernels: KERNELS_VERSION,
    measured: new Date().toISOString(),
    entries,
    messages: [],
  };
  const withKernels = mergeCostTables(known, createCostTable([measured]));
  if (kernelsOnly || signal.aborted) return { table: withKernels, measured, missing };
  const [first, second] = await freePorts(2);
  const messages = await unlessEnded(signal, measureMessages([first!, second!]));
  if (messages === undefined) return { table: withKernels, measured, missing };
  const host = await profileHost([target], withKernels, { startUs, messages, signal });
  const all = { ...measured, messages, ...(host === undefined ? {} : { host }) };
  return { table: mergeCostTables(known, createCostTable([all])), measured: all, missing };
}

function ofThisMachine({ devices }: CostTable): DeviceCosts[] {
  return devices.filter(({ deviceType, kernels }) => deviceType === LOCAL_CPU.type && kernels === KERNELS_VERSION);
}

/** What a fit of the host's costs rests on beside iterations. */
interface HostBasis extends Pick<DeviceCosts, 'messages'> {
  readonly startUs: number;
  readonly signal: AbortSignal;
}

/** Runs iterations of the targets, and fits the costs of the host to them; undefined where that is ended early. */
async function profileHost(
  targets: readonly ProfileTarget[],
  known: CostTable,
  { startUs, messages, signal }: HostBasis,
): Promise<HostCosts | undefined> {
  const cores = availableParallelism();
  const probes = targets.flatMap((target) => probesOf(target, cores).map((probe) => ({ ...probe, target })));
  const progress = new Progress('running iterations', process.stderr);
  const measured: MeasuredProbe[] = [];
  for (const probe of probes) {
    if (signal.aborted) return undefined;
    progress.update(measured.length / probes.length, `${measured.length} of ${probes.length} splits`);
    const run = await unlessEnded(signal, measureRun(probe.target, probe, signal));
    if (run === undefined) {
      progress.close();
      return undefined;
    }
    measured.push({ ...probe, run });
  }
  progress.finish(`${measured.length} splits`);
  return fitToProbes(measured, hostPrior({ cores, startUs, messages }), (host) => withHost(known, host));
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

function withHost(known: CostTable, host: HostCosts): CostTable {
  return createCostTable(known.devices.map((each) => (ofThisMachine(known).includes(each) ? { ...each, host } : each)));
}

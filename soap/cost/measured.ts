import type { Device } from '../cluster/cluster.ts';
import type { OptimizerName } from '../job/training-job.ts';
import { areCurrentKernels } from '../version.ts';
import type { CostBasis, CostSource, MeasuredOptions } from './cost-source.ts';
import type { TaskWork } from './task-work.ts';
import type { CostEntry, CostTable, DeviceCosts, HostCosts } from './cost-table.ts';
import { workKey } from './cost-table.ts';
import { rooflineUs } from './roofline.ts';

/** Entries of like work that an interpolation rests on. */
const NEIGHBOURS = 3;

/** A duration with what it rests on. */
interface Cost {
  readonly us: number;
  readonly basis: CostBasis;
}

/**
 * Durations from a table: the entry of the very work; else what the nearest entries of the same op say, scaled by how much
 * longer roofline thinks the work takes than theirs; roofline where there are none, or no table for the type of device.
 *
 * A duration is what the task adds to a kernel, without the kernel's start, which the host's costs have; of an update, which is a
 * kernel by itself, with it. Where the host's costs are not known, every task has the data sheet's fixed cost. Where more devices share a
 * host than it has cores, durations are stretched accordingly. A device that is faster than others of its type takes as much less.
 */
export function createMeasuredCosts(table: CostTable, options: MeasuredOptions = {}): CostSource {
  const { optimizer = 'sgd', devicesPerHost = 1 } = options;
  const current = table.devices.filter(({ kernels }) => areCurrentKernels(kernels));
  const tables = new Map(current.map((each) => [each.deviceType, new DeviceTable(each, devicesPerHost)]));
  const cost = (work: TaskWork, device: Device): Cost => {
    const known = work.direction === 'update' ? updateOf(work, optimizer) : work;
    const found = tables.get(device.type)?.cost(known, device);
    if (found === undefined) return { us: rooflineUs(work, device), basis: 'roofline' };
    return { us: found.us / (device.speedup ?? 1), basis: found.basis };
  };
  return {
    durationUs(work, device) {
      const host = tables.get(device.type)?.host;
      const { us, basis } = cost(work, { ...device, taskOverheadUs: 0 });
      if (host === undefined) return device.taskOverheadUs + us;
      const { taskShare, updateUs, updateShare = taskShare } = host;
      const [startUs, share] = work.direction === 'update' ? [updateUs, updateShare] : [0, taskShare];
      return (startUs + us * (basis === 'roofline' ? 1 : share)) * Math.max(1, devicesPerHost / host.cores);
    },
    basis: (work, device) => cost(work, device).basis,
    host: (deviceType) => tables.get(deviceType)?.host,
    recipe: { kind: 'measured', table, options },
  };
}

/** Updates are measured for each optimizer; what else is done with gradients is the same for all. */
export function updateOf(work: TaskWork, optimizer: OptimizerName): TaskWork {
  return /^(scaled )?update\(/.test(work.signature) ? { ...work, signature: `${optimizer} ${work.signature}` } : work;
}

class DeviceTable {
  readonly host: HostCosts | undefined;
  readonly #startUs: number;
  readonly #exact: ReadonlyMap<string, CostEntry>;
  /** By direction and op. */
  readonly #alike: ReadonlyMap<string, readonly CostEntry[]>;
  readonly #known = new Map<string, Cost | undefined>();

  constructor({ entries, host, crowdedHost = host, startUs = 0 }: DeviceCosts, devicesPerHost: number) {
    this.host = host !== undefined && devicesPerHost > host.cores ? crowdedHost : host;
    this.#startUs = host?.startUs ?? startUs;
    this.#exact = new Map(entries.map((entry) => [workKey(entry), entry]));
    this.#alike = Map.groupBy(entries, opKey);
  }

  cost(work: TaskWork, device: Device): Cost | undefined {
    const key = workKey(work);
    if (!this.#known.has(key)) this.#known.set(key, this.#find(key, work, device));
    return this.#known.get(key);
  }

  #find(key: string, work: TaskWork, device: Device): Cost | undefined {
    const exact = this.#exact.get(key);
    if (exact !== undefined) return { us: this.#added(exact), basis: 'measured' };
    const alike = this.#alike.get(opKey(work)) ?? [];
    if (alike.length === 0) return undefined;
    return { us: this.#interpolated(work, alike, device), basis: 'interpolated' };
  }

  /** What the task adds to a kernel that runs anyway. */
  #added({ us }: CostEntry): number {
    return Math.max(us - this.#startUs, 0.02 * us);
  }

  #interpolated(work: TaskWork, alike: readonly CostEntry[], device: Device): number {
    // Work of no arithmetic and no bytes still takes a moment.
    const expectedUs = (each: TaskWork): number => rooflineUs(each, { ...device, taskOverheadUs: 0.1 });
    const near = alike
      .map((entry) => ({ entry, distance: distance(entry, work) }))
      .toSorted((a, b) => a.distance - b.distance)
      .slice(0, NEIGHBOURS);
    let [sum, weights] = [0, 0];
    for (const { entry, distance: far } of near) {
      const weight = 1 / (far + 0.01);
      sum += weight * Math.log(this.#added(entry) / expectedUs(entry));
      weights += weight;
    }
    return expectedUs(work) * Math.exp(sum / weights);
  }
}

/** How unlike two pieces of work are: how far apart on logarithmic scales. */
function distance(a: TaskWork, b: TaskWork): number {
  const apart = (x: number, y: number): number => Math.log((x + 1) / (y + 1));
  return Math.hypot(apart(a.flops, b.flops), apart(a.memoryBytes, b.memoryBytes));
}

/** The op of a signature `kind(shapes)attributes`, or of an update, and the direction. */
function opKey({ signature, direction }: Pick<TaskWork, 'signature' | 'direction'>): string {
  return `${direction} ${signature.slice(0, signature.indexOf('('))}`;
}

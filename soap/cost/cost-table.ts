import type { Problem } from '../schema/check.ts';
import { createChecker, FileError } from '../schema/check.ts';
import { SOAPSTONE_VERSION } from '../version.ts';
import { COST_TABLE_SCHEMA, COST_TABLE_VERSION } from './cost-table-schema.ts';
import type { TaskWork } from './task-work.ts';
import { messageOf } from '../message-of.ts';

/** A measured kernel. */
export interface CostEntry extends TaskWork {
  /** A run by itself, with what starting a kernel costs: the lower quartile of many, microseconds. */
  readonly us: number;
  /** Half of the distance between the quartiles, as a share of the median. */
  readonly spread: number;
}

/** What one message between two processes takes, by size. */
export interface MessageTime {
  readonly bytes: number;
  /** From send to the receiver's having it; microseconds. */
  readonly us: number;
}

/**
 * What devices cost the host that they share, fitted by least squares to iterations that were run on it (`fit.ts`). Times are
 * microseconds of one core.
 */
export interface HostCosts {
  /** Cores that all devices of the host share. */
  readonly cores: number;
  /** Start of a kernel by itself, as it is in {@link CostEntry.us}. */
  readonly startUs: number;
  /** Start of a segment's kernel amid training, and of an update's, which follow each other closely. */
  readonly kernelUs: number;
  readonly updateUs: number;
  /** What either takes more on a thread of its own; absent in tables of kernels that all had one, where they have it in them. */
  readonly handUs?: number;
  /** What tasks take within a kernel, as a share of what they take by themselves without the start. */
  readonly taskShare: number;
  /** The same of updates and of what else is done with whole gradients; absent in tables that do not tell it from `taskShare`. */
  readonly updateShare?: number;
  /** What a device takes to begin to send, once for messages one right after the other; absent in tables that have it in `messageUs`. */
  readonly sendUs?: number;
  /** A message at the end that sends it, and at the other. */
  readonly messageUs: number;
  readonly receiveUs: number;
  /** A MiB of a message at either end. */
  readonly messageUsPerMiB: number;
  readonly receiveUsPerMiB: number;
  /** What a message takes its receiver longer where that sleeps. */
  readonly wakeUs: number;
  /** A MiB that is copied, or summed, outside of kernels, and each contiguous run of it. */
  readonly copyUsPerMiB: number;
  readonly sumUsPerMiB: number;
  /** A MiB that the kernel library sums, in long runs; absent in tables that do not tell it from `sumUsPerMiB`. */
  readonly longSumUsPerMiB?: number;
  readonly copyUsPerRun: number;
  /** What a step takes beside its tasks. */
  readonly stepUs: number;
  /** A sample that is read for the next batch by the thread that computes, for each tensor of it; absent in tables that do not tell it from `stepUs`. */
  readonly rowUs?: number;
  /**
   * A MiB of another device's gradient that an update reads where it lies; absent in tables that do not tell it from copies.
   */
  readonly readUsPerMiB?: number;
  /** How long a thread keeps a core that others wait for; absent in tables that know nothing of it. */
  readonly sliceUs?: number;
  /** What a thread takes longer after a device other than its own had its core; absent in tables that know nothing of it. */
  readonly switchUs?: number;
  /** How much longer work takes where all cores are busy: caches, memory, and cores that are threads of one. */
  readonly crowding: number;
}

/** What was measured on one type of device with one version of kernels. */
export interface DeviceCosts {
  readonly deviceType: string;
  readonly kernels: string;
  /** When it was measured last, RFC 3339. */
  readonly measured: string;
  readonly entries: readonly CostEntry[];
  readonly messages: readonly MessageTime[];
  /** Start of a kernel by itself, as it is in {@link CostEntry.us}; that of the host's costs counts where there are any. */
  readonly startUs?: number;
  /** Absent until iterations were run. */
  readonly host?: HostCosts;
  /** The same where devices outnumber cores and take turns on them; as `host` where absent. */
  readonly crowdedHost?: HostCosts;
}

/** A cost table file. */
export interface CostTable {
  readonly version: typeof COST_TABLE_VERSION;
  readonly soapstone: string;
  readonly devices: readonly DeviceCosts[];
}

const checker = createChecker<CostTable>(COST_TABLE_SCHEMA);

/** A table with what was measured on some types of devices. */
export function createCostTable(devices: readonly DeviceCosts[]): CostTable {
  return { version: COST_TABLE_VERSION, soapstone: SOAPSTONE_VERSION, devices };
}

/** The text of a cost table file. */
export function encodeCostTable(table: CostTable): string {
  return `${JSON.stringify(table, null, 1)}\n`;
}

/** Reads a cost table file. @throws {FileError} with all problems */
export function decodeCostTable(text: string, source: string = 'the cost table'): CostTable {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = messageOf(error);
    const message = `is not JSON (${reason}); expected a table as 'soapstone profile --save' writes it`;
    throw new FileError(source, [{ path: '', message }]);
  }
  if (!checker.is(value)) throw new FileError(source, checker.problems(value));
  const twice = duplicates(value);
  if (twice.length > 0) throw new FileError(source, twice);
  return value;
}

function duplicates({ devices }: CostTable): Problem[] {
  const seen = new Set<string>();
  return devices.flatMap(({ deviceType, kernels }, i) => {
    const key = `${deviceType} with ${kernels}`;
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    return [{ path: `devices.${i}`, message: `is the second table of ${key}; expected one: merge them by profiling` }];
  });
}

/** One table of two: of what both have, the second, newer one counts. */
export function mergeCostTables(older: CostTable, newer: CostTable): CostTable {
  const merged = new Map(older.devices.map((each) => [tableKey(each), each]));
  for (const device of newer.devices) {
    const known = merged.get(tableKey(device));
    merged.set(tableKey(device), known === undefined ? device : mergeDevices(known, device));
  }
  return createCostTable([...merged.values()]);
}

function mergeDevices(older: DeviceCosts, newer: DeviceCosts): DeviceCosts {
  const entries = new Map(older.entries.map((entry) => [workKey(entry), entry]));
  for (const entry of newer.entries) entries.set(workKey(entry), entry);
  const host = newer.host ?? older.host;
  const crowdedHost = newer.crowdedHost ?? older.crowdedHost;
  return {
    ...newer,
    entries: [...entries.values()],
    messages: newer.messages.length > 0 ? newer.messages : older.messages,
    ...(host === undefined ? {} : { host }),
    ...(crowdedHost === undefined ? {} : { crowdedHost }),
  };
}

function tableKey({ deviceType, kernels }: DeviceCosts): string {
  return JSON.stringify([deviceType, kernels]);
}

/** Equal for tasks that tables do not tell apart. */
export function workKey({ signature, direction }: Pick<TaskWork, 'signature' | 'direction'>): string {
  return `${direction} ${signature}`;
}

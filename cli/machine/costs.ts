import { access } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import type { CostSource } from '../../soap/cost/cost-source.ts';
import type { CostTable } from '../../soap/cost/cost-table.ts';
import { decodeCostTable } from '../../soap/cost/cost-table.ts';
import { createMeasuredCosts } from '../../soap/cost/measured.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { OptimizerName } from '../../soap/job/training-job.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { hostOf } from '../../soap/simulator/host/predict.ts';
import { cacheFolder } from '../../runtime/storage/cache-folder.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { text } from '../command-line/arguments.ts';
import { readText } from '../files/read-job.ts';
import { duration } from '../terminal/format.ts';
import { isOfThisMachine, thisMachineWithLinks } from './this-machine.ts';
import { messageOf } from '../../soap/message-of.ts';

/** The option that names a cost table, for `parseArguments`. */
export const COSTS_OPTION = { type: 'string' } as const;

/** Its help. */
export const COSTS_HELP = `  --costs FILE     a table of measured costs, as soapstone profile writes it; without one, data sheets count
`;

const MIB = 2 ** 20;
const US_PER_SEC = 1e6;

/** Where the table of this machine is kept. */
export function cachedTablePath(): string {
  return join(cacheFolder(), 'costs.json');
}

/** The table of this machine; undefined where it was never profiled and, which a line says, where its table cannot be read. */
export async function cachedTable(): Promise<CostTable | undefined> {
  return tableAt(cachedTablePath()).catch((error: unknown) => {
    const [file, problem = ''] = messageOf(error).split('\n');
    const reason = `${file}${problem}`.replaceAll(/ +/g, ' ');
    process.stderr.write(
      `note: what was measured of this machine does not count, and soapstone profile measures it anew: ${reason}\n`,
    );
    return undefined;
  });
}

/** The table of a file; undefined where there is none. @throws {FileError} where it is no table */
export async function tableAt(path: string): Promise<CostTable | undefined> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  return exists ? decodeCostTable(await readText(path), path) : undefined;
}

/** The table that `--costs` names, or undefined. @throws {FileError} where it is no table */
export async function namedTable(args: Arguments): Promise<CostTable | undefined> {
  const path = text(args, 'costs');
  return path === undefined ? undefined : decodeCostTable(await readText(path), path);
}

/**
 * The table that `--costs` names, for what is asked about a plan. Where none is named and the plan was made by one, a line says that its
 * numbers will differ.
 * @throws {FileError} where it is no table
 */
export async function tableForPlan(args: Arguments, { costs, prediction }: Plan): Promise<CostTable | undefined> {
  const table = await namedTable(args);
  if (table === undefined && costs !== undefined && costs.roofline < 1)
    process.stderr.write(
      `note: the plan was made by measured costs (${duration(prediction.iterationMs)} an iteration), and what follows is by data ` +
        'sheets; expected --costs FILE with the table that it was made by\n',
    );
  return table;
}

/** What tasks cost on a cluster: as a table says, or data sheets where there is none. */
export function costsFor(
  table: CostTable | undefined,
  { devices }: Cluster,
  optimizer: OptimizerName | undefined,
): CostSource {
  if (table === undefined) return createRooflineCosts();
  const perNode = [...Map.groupBy(devices, ({ node }) => node).values()].map(({ length }) => length);
  return createMeasuredCosts(table, { optimizer, devicesPerHost: Math.max(...perNode) });
}

/** The same costs on another cluster: a table's depend on how many devices share a host. */
export function costsOn(cluster: Cluster, costs: CostSource): CostSource {
  const { recipe } = costs;
  return recipe.kind === 'measured' ? costsFor(recipe.table, cluster, recipe.options.optimizer) : costs;
}

/** A cluster of this machine's processes with the latency and bandwidth that its costs say; any other as it is. */
export function withMeasuredLinks(cluster: Cluster, costs: CostSource): Cluster {
  const host = isOfThisMachine(cluster) ? hostOf(cluster, costs) : undefined;
  if (host === undefined) return cluster;
  return thisMachineWithLinks(cluster.devices.length, {
    // What a message keeps its receiver waiting for: both ends, and the start of the kernel that could not be part of the one before.
    messageLatencyUs: (host.sendUs ?? 0) + host.messageUs + host.receiveUs + host.wakeUs + host.kernelUs,
    intraNodeBytesPerSec: (MIB / Math.max(1, host.messageUsPerMiB + host.receiveUsPerMiB)) * US_PER_SEC,
    linkSource: 'soapstone profile',
  });
}

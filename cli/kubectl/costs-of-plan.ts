import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CostTables } from '../../operator/costs/cost-tables.ts';
import { costTableNames } from '../../operator/decide/table-names.ts';
import { unpackTable } from '../../operator/costs/packing.ts';
import { encodeCostTable } from '../../soap/cost/cost-table.ts';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import type { Access } from './access.ts';
import { ask } from './access.ts';
import type { StoredPlan } from './job-objects.ts';

/**
 * The path of the costs that a job's plan was made by, which are laid out as a file in a folder; undefined where it was made by data
 * sheets, and where the cluster keeps no table, or none that the user may read.
 */
export async function costsOfPlan(
  { core, namespace }: Access,
  stored: StoredPlan,
  folder: string,
): Promise<string | undefined> {
  const { cluster, costs } = decodePlan(stored.plan);
  if (costs === undefined || costs.roofline === 1) return undefined;
  const names = costTableNames(
    cluster.devices.map(({ type }) => type),
    stored.job,
  );
  const packed = await ask('tables of measured costs', () => new CostTables(core).packed(namespace, names));
  if (packed.length === 0) return undefined;
  const file = join(folder, 'costs.json');
  await writeFile(file, encodeCostTable(await unpackTable(packed)));
  return file;
}

import type { Device } from '../cluster/cluster.ts';
import type { OptimizerName } from '../job/training-job.ts';
import type { CostTable, HostCosts } from './cost-table.ts';
import type { TaskWork } from './task-work.ts';

/** What a duration rests on: a measurement of this very work, measurements of work like it, or data sheets. */
export type CostBasis = 'measured' | 'interpolated' | 'roofline';

/** Port: how long a task takes on a device. Implementations: roofline (data sheets), and measured tables. */
export interface CostSource {
  /** Microseconds; deterministic for equal arguments. */
  durationUs(work: TaskWork, device: Device): number;
  basis(work: TaskWork, device: Device): CostBasis;
  /** What is known of the hosts of a type of device; undefined where nothing was measured. */
  host(deviceType: string): HostCosts | undefined;
  /** What `createCosts` makes the same source of, in another thread. */
  readonly recipe: CostRecipe;
}

/** What measured durations are asked for. */
export interface MeasuredOptions {
  readonly optimizer?: OptimizerName | undefined;
  /** Devices that share a host; as many as it has cores, or fewer, where left out. */
  readonly devicesPerHost?: number | undefined;
}

/** Plain data that says what a cost source is. */
export type CostRecipe =
  | { readonly kind: 'roofline' }
  | { readonly kind: 'measured'; readonly table: CostTable; readonly options: MeasuredOptions };

import type { Device } from '../cluster/cluster.ts';

/** What one task does, as far as its duration depends on it. */
export interface TaskWork {
  /** The op's kind with part shapes, for tables of measured times. */
  readonly signature: string;
  readonly direction: 'forward' | 'backward' | 'update';
  readonly flops: number;
  /** Bytes read and written, each once. */
  readonly memoryBytes: number;
}

/** Port: how long a task takes on a device. Implementations: roofline (data sheets), and measured tables. */
export interface CostSource {
  /** Microseconds; deterministic for equal arguments. */
  durationUs(work: TaskWork, device: Device): number;
}

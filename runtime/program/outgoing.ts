import type { Boxed } from '../../soap/region/region.ts';
import { regionVolume, sameRegion } from '../../soap/region/region.ts';
import type { TransferTask } from '../../soap/tasks/task-graph.ts';
import type { TensorBuffer } from '../kernels/kernels.ts';
import type { WireElements } from '../wire/elements.ts';
import { RegionPath } from '../kernels/regions.ts';

/** A message of a part, and the memory that it takes a region of. */
export interface Outgoing {
  readonly task: TransferTask;
  readonly from: Boxed<TensorBuffer>;
  /** How the region becomes the message's; undefined where it is all of the memory. */
  readonly path: RegionPath | undefined;
}

/** What a transfer takes out of memory. */
export function outgoing(task: TransferTask, from: Boxed<TensorBuffer>): Outgoing {
  const { region } = task;
  const path = sameRegion(from.frame, region) ? undefined : new RegionPath(from.frame, region, region);
  return { task, from, path };
}

/** The bytes of a message: those of the memory itself where all of it is sent, else a copy. */
export function packed({ task, from, path }: Outgoing, elements: WireElements): Uint8Array {
  const memory = from.memory.host;
  let target = memory;
  if (path !== undefined) {
    const count = regionVolume(task.region);
    target = memory instanceof BigInt64Array ? new BigInt64Array(count) : new Float32Array(count);
    path.copy(memory, target);
  }
  if (target instanceof Float32Array) return elements.pack(target);
  return new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
}

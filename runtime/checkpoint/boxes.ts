import type { Interval, Region } from '../../soap/region/region.ts';
import { regionVolume } from '../../soap/region/region.ts';
import type { ParameterShard } from '../../soap/tasks/task-graph.ts';

/** A box of a shard that one device writes. */
export interface WrittenBox {
  readonly device: number;
  readonly shard: ParameterShard;
  readonly region: Region;
}

/** Elements below which a shard that several devices hold is written by one of them: 16 KiB of float32. */
const MIN_SHARED_ELEMENTS = 4096;

/**
 * Says who writes what, the same on every device: each element once. What several devices hold is cut along its first axis
 * into as many slices where it is large; small shards go to whoever of them has least to write.
 */
export function writtenBoxes(shards: readonly ParameterShard[]): WrittenBox[] {
  const elements = new Map<number, number>();
  const boxes: WrittenBox[] = [];
  const write = (device: number, shard: ParameterShard, region: Region): void => {
    boxes.push({ device, shard, region });
    elements.set(device, (elements.get(device) ?? 0) + regionVolume(region));
  };
  const bySize = shards.toSorted((a, b) => regionVolume(b.region) - regionVolume(a.region) || a.id - b.id);
  for (const shard of bySize) {
    const slices = slicesOf(shard);
    if (slices !== undefined) shard.devices.forEach((device, i) => write(device, shard, slices[i]!));
    else {
      const load = (device: number): number => elements.get(device) ?? 0;
      write(shard.devices.toSorted((a, b) => load(a) - load(b) || a - b)[0]!, shard, shard.region);
    }
  }
  return boxes;
}

function slicesOf({ region, devices }: ParameterShard): Region[] | undefined {
  const [first, ...rest] = region;
  const count = devices.length;
  if (first === undefined || count === 1 || regionVolume(region) < MIN_SHARED_ELEMENTS) return undefined;
  const [start, end] = first;
  const extent = end - start;
  if (extent < count) return undefined;
  const cut = (i: number): number => start + Math.floor((i * extent) / count);
  return devices.map((_, i) => [[cut(i), cut(i + 1)] as Interval, ...rest]);
}

import type { ShardGeometry } from '../../tasks/geometry/shard-geometry.ts';

/** In place of an index where a device holds nothing. */
const NOWHERE = -1;

/** Lists the devices that hold shards. Shards that follow each other and are held by the same devices share one list. */
export class ShardHolders {
  /** By device: where it is in the list. */
  readonly #indexOf: Int32Array;
  #devices: readonly number[] = [];

  constructor(deviceCount: number) {
    this.#indexOf = new Int32Array(deviceCount).fill(NOWHERE);
  }

  /**
   * The devices that hold a shard, ascending.
   * @param placed by reader of the parameter, then its part: the device
   */
  of(
    { fromShard, reads, readReader, readPart }: ShardGeometry,
    shard: number,
    placed: readonly (readonly number[])[],
  ): readonly number[] {
    const indexOf = this.#indexOf;
    for (const device of this.#devices) indexOf[device] = NOWHERE;
    const devices: number[] = [];
    let ascending = true;
    for (let k = fromShard[shard]!; k < fromShard[shard + 1]!; k++) {
      const read = reads[k]!;
      const device = placed[readReader[read]!]![readPart[read]!]!;
      if (indexOf[device] !== NOWHERE) continue;
      if (devices.length > 0 && device < devices.at(-1)!) ascending = false;
      indexOf[device] = devices.length;
      devices.push(device);
    }
    if (!ascending) devices.sort((a, b) => a - b).forEach((device, i) => (indexOf[device] = i));
    if (!sameDevices(devices, this.#devices)) this.#devices = devices;
    return this.#devices;
  }

  /** Where a device is in the list that was made last. */
  indexOf(device: number): number {
    return this.#indexOf[device]!;
  }
}

function sameDevices(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

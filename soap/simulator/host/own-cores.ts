/** A device among those of its machine or pod. */
export interface DevicePlace {
  readonly index: number;
  readonly of: number;
}

/**
 * The share of a machine's cores that a device has for itself: equal for all devices, so that none waits for one that has less.
 * Undefined where cores cannot be shared out evenly: there the scheduler does better. What runs and what is simulated both ask it.
 * @param cores ascending
 */
export function ownCores(cores: readonly number[], { index, of }: DevicePlace): readonly number[] | undefined {
  if (of === 1) return undefined;
  if (cores.length % of === 0) {
    const share = cores.length / of;
    return cores.slice(index * share, (index + 1) * share);
  }
  return of % cores.length === 0 ? [cores[index % cores.length]!] : undefined;
}

/** Which cores the devices of a host share. */
export interface CoreGroups {
  /** Cores of a group. */
  readonly cores: number;
  readonly groups: number;
  /** By device. */
  readonly groupOf: readonly number[];
}

/** The groups of devices that share cores on a host: see {@link ownCores}. */
export function coreGroups(cores: number, devices: number): CoreGroups {
  const all = Array.from({ length: cores }, (_, core) => core);
  const shares = Array.from({ length: devices }, (_, index) => ownCores(all, { index, of: devices }) ?? all);
  const firsts = [...new Set(shares.map(([first]) => first!))];
  return { cores: shares[0]!.length, groups: firsts.length, groupOf: shares.map(([first]) => firsts.indexOf(first!)) };
}

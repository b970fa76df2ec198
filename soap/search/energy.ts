import type { Cluster } from '../cluster/cluster.ts';

/** The energy of a strategy that just does not fit into memory: a week, longer than any iteration. */
const INFEASIBLE_MS = 7 * 24 * 3600 * 1000;

/**
 * What chains compare, in milliseconds: time; of a strategy that does not fit into memory, far more, by how far it does not
 * fit, so that chains find the way to strategies that do.
 */
export function energyOf(
  cluster: Cluster,
  outcome: { readonly makespanUs: number; readonly missingMemoryBytes: number },
): number {
  if (outcome.missingMemoryBytes === 0) return outcome.makespanUs / 1000;
  return INFEASIBLE_MS * (1 + outcome.missingMemoryBytes / smallestMemoryBytes(cluster));
}

/** What a strategy of an energy needs beyond what the devices have, in all. */
export function missingMemoryBytesOf(cluster: Cluster, energyMs: number): number {
  return energyMs < INFEASIBLE_MS ? 0 : Math.round((energyMs / INFEASIBLE_MS - 1) * smallestMemoryBytes(cluster));
}

function smallestMemoryBytes({ devices }: Cluster): number {
  return devices.reduce((least, { memoryBytes }) => Math.min(least, memoryBytes), Infinity);
}

import type { Cluster } from '../cluster/cluster.ts';

/** The energy of a strategy that just cannot be executed: a week, longer than any iteration. */
const INFEASIBLE_MS = 7 * 24 * 3600 * 1000;

/** What of a strategy decides whether it can be executed: both are 0 where it can. */
interface Excess {
  readonly missingMemoryBytes: number;
  readonly oversizedMessageBytes: number;
}

/** How far a strategy is from one that can be executed, in bytes. */
export function excessBytes({ missingMemoryBytes, oversizedMessageBytes }: Excess): number {
  return missingMemoryBytes + oversizedMessageBytes;
}

/**
 * What chains compare, in milliseconds: time; of a strategy that does not fit into memory, or has messages that are too large, far
 * more, by how far it does not fit, so that chains find the way to strategies that do.
 */
export function energyOf(cluster: Cluster, outcome: Excess & { readonly makespanUs: number }): number {
  const excess = excessBytes(outcome);
  if (excess === 0) return outcome.makespanUs / 1000;
  return INFEASIBLE_MS * (1 + excess / smallestMemoryBytes(cluster));
}

/** The {@link excessBytes} of a strategy of an energy. */
export function excessBytesOf(cluster: Cluster, energyMs: number): number {
  return energyMs < INFEASIBLE_MS ? 0 : Math.round((energyMs / INFEASIBLE_MS - 1) * smallestMemoryBytes(cluster));
}

function smallestMemoryBytes({ devices }: Cluster): number {
  return devices.reduce((least, { memoryBytes }) => Math.min(least, memoryBytes), Infinity);
}

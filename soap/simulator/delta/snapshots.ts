/** The state of a simulation between two tasks, from which it can go on. */
export interface Snapshot {
  /** How many tasks were simulated before. */
  readonly position: number;
  /** When the last of them was ready. */
  readonly lastReadyUs: number;
  /** When the last of them ends. */
  readonly makespanUs: number;
  /** By resource: when it is free. */
  readonly freeUs: Float64Array;
  /** By resource: microseconds of its tasks that were simulated. */
  readonly doneUs: Float64Array;
  /** Tasks that are ready, and since when. */
  readonly queued: Int32Array;
  readonly queuedReadyUs: Float64Array;
}

/** The last snapshot before anything at or after a time was simulated; undefined where there is none. */
export function lastBefore(snapshots: readonly Snapshot[], timeUs: number): Snapshot | undefined {
  let [low, high] = [0, snapshots.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (snapshots[middle]!.lastReadyUs < timeUs) low = middle + 1;
    else high = middle;
  }
  return snapshots[low - 1];
}

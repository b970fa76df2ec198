import type { CollectiveAlgorithm } from './task-graph.ts';

const US_PER_SEC = 1e6;

/** How a collective is done, how long it takes, and the links it holds. */
export interface CollectiveTime {
  readonly algorithm: CollectiveAlgorithm;
  readonly durationUs: number;
  /** Whether gradients are read where they lie, in the order of the algorithm, and not sent; see {@link isReadSum}. */
  readonly isRead: boolean;
  /**
   * Ids of links. Where sums hold devices (`ForeignSums` of the cluster), also its devices as ids below zero: a resource
   * is the number of devices plus the id, so device d is d less that number.
   */
  readonly links: readonly number[];
  /** Devices in the order in which they take part; those of a node are neighbours. */
  readonly devices: readonly number[];
  /** The same devices, node by node. */
  readonly nodes: readonly (readonly number[])[];
}

/** A message of a round: what it waits for, and the rate it gets beside the others. */
export interface Hop {
  readonly latencyUs: number;
  readonly bandwidthBytesPerSec: number;
}

/** Rounds that are alike: in each, every hop carries this share of the bytes, and the slowest sets the time. */
interface Rounds {
  readonly count: number;
  readonly share: number;
  readonly hops: readonly Hop[];
}

/** An algorithm on a set of devices, ready to be timed for any size. */
export interface Schedule extends Omit<CollectiveTime, 'durationUs' | 'isRead'> {
  readonly rounds: readonly Rounds[];
}

/** A schedule that is worked out only for sizes for which it may be the fastest. */
export interface Candidate {
  /** What it takes for a size, at least. */
  atLeastUs(bytes: number): number;
  schedule(): Schedule;
}

/** Only hops that are the slowest for some size: none with both a shorter latency and a higher rate than another. */
export function slowestHops(hops: readonly Hop[]): Hop[] {
  // Of many hops few differ; those are sorted.
  const distinct = new Map<number, Map<number, Hop>>();
  for (const hop of hops) {
    const alike = distinct.get(hop.latencyUs);
    if (alike === undefined) distinct.set(hop.latencyUs, new Map([[hop.bandwidthBytesPerSec, hop]]));
    else alike.set(hop.bandwidthBytesPerSec, hop);
  }
  const sorted = [...distinct.values()]
    .flatMap((alike) => [...alike.values()])
    .sort((a, b) => b.latencyUs - a.latencyUs || a.bandwidthBytesPerSec - b.bandwidthBytesPerSec);
  const slowest: Hop[] = [];
  for (const hop of sorted) {
    if (slowest.length === 0 || hop.bandwidthBytesPerSec < slowest.at(-1)!.bandwidthBytesPerSec) slowest.push(hop);
  }
  return slowest;
}

/** A schedule that is worked out already. */
export function ready(schedule: Schedule): Candidate {
  return { atLeastUs: () => 0, schedule: () => schedule };
}

/** The first of the fastest. */
export function fastest(candidates: readonly Candidate[], bytes: number): CollectiveTime {
  let bestUs = Infinity;
  let best: Schedule | undefined;
  for (const candidate of candidates) {
    if (candidate.atLeastUs(bytes) >= bestUs) continue;
    const schedule = candidate.schedule();
    const durationUs = scheduleUs(schedule, bytes);
    if (durationUs < bestUs) [best, bestUs] = [schedule, durationUs];
  }
  const { rounds: _, ...chosen } = best!;
  return { ...chosen, isRead: false, durationUs: bestUs };
}

function scheduleUs({ rounds }: Schedule, bytes: number): number {
  let sumUs = 0;
  for (const each of rounds) sumUs += each.count * roundUs(each, bytes);
  return sumUs;
}

function roundUs({ hops, share }: Rounds, bytes: number): number {
  let slowestUs = 0;
  for (const { latencyUs, bandwidthBytesPerSec } of hops) {
    slowestUs = Math.max(slowestUs, latencyUs + ((bytes * share) / bandwidthBytesPerSec) * US_PER_SEC);
  }
  return slowestUs;
}

/** Candidates by devices. Who asks for many sizes with one list of devices does not pay for its key each time. */
export class Memo {
  readonly #known = new Map<string, readonly Candidate[]>();
  #devices: readonly number[] = [];
  #candidates: readonly Candidate[] = [];

  /** @param devices ascending; @param make called where there are none yet */
  get(devices: readonly number[], make: () => readonly Candidate[]): readonly Candidate[] {
    if (devices === this.#devices) return this.#candidates;
    const key = devices.join();
    let candidates = this.#known.get(key);
    if (candidates === undefined) {
      candidates = make();
      this.#known.set(key, candidates);
    }
    [this.#devices, this.#candidates] = [devices, candidates];
    return candidates;
  }
}

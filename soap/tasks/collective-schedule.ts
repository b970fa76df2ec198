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

/** What a message of a round waits for, and the rate it gets beside the others. */
export interface RoundMessage {
  readonly latencyUs: number;
  readonly bandwidthBytesPerSec: number;
}

/** Rounds that are alike: in each, every message carries this share of the bytes, and the slowest sets the time. */
interface Rounds {
  readonly count: number;
  readonly share: number;
  readonly messages: readonly RoundMessage[];
}

/** An algorithm on a set of devices, ready to be timed for any size. */
export interface Schedule extends Omit<CollectiveTime, 'durationUs' | 'isRead'> {
  readonly rounds: readonly Rounds[];
}

/** A schedule that is worked out only for sizes for which it may be the fastest. */
export interface LazySchedule {
  /** What it takes for a size, at least. */
  atLeastUs(bytes: number): number;
  schedule(): Schedule;
}

/** Only messages that are the slowest for some size: none with both a shorter latency and a higher rate than another. */
export function slowestMessages(messages: readonly RoundMessage[]): RoundMessage[] {
  // Of many messages few differ; those are sorted.
  const distinct = new Map<number, Map<number, RoundMessage>>();
  for (const message of messages) {
    const alike = distinct.get(message.latencyUs);
    if (alike === undefined) distinct.set(message.latencyUs, new Map([[message.bandwidthBytesPerSec, message]]));
    else alike.set(message.bandwidthBytesPerSec, message);
  }
  const sorted = [...distinct.values()]
    .flatMap((alike) => [...alike.values()])
    .sort((a, b) => b.latencyUs - a.latencyUs || a.bandwidthBytesPerSec - b.bandwidthBytesPerSec);
  const slowest: RoundMessage[] = [];
  for (const message of sorted) {
    if (slowest.length === 0 || message.bandwidthBytesPerSec < slowest.at(-1)!.bandwidthBytesPerSec)
      slowest.push(message);
  }
  return slowest;
}

/** A schedule that is worked out already. */
export function ready(schedule: Schedule): LazySchedule {
  return { atLeastUs: () => 0, schedule: () => schedule };
}

/** The first of the fastest. */
export function fastest(candidates: readonly LazySchedule[], bytes: number): CollectiveTime {
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

function roundUs({ messages, share }: Rounds, bytes: number): number {
  let slowestUs = 0;
  for (const { latencyUs, bandwidthBytesPerSec } of messages) {
    slowestUs = Math.max(slowestUs, latencyUs + ((bytes * share) / bandwidthBytesPerSec) * US_PER_SEC);
  }
  return slowestUs;
}

/** Schedules by devices. Who asks for many sizes with one list of devices does not pay for its key each time. */
export class Memo {
  readonly #known = new Map<string, readonly LazySchedule[]>();
  #devices: readonly number[] = [];
  #schedules: readonly LazySchedule[] = [];

  /** @param devices ascending; @param make called where there are none yet */
  get(devices: readonly number[], make: () => readonly LazySchedule[]): readonly LazySchedule[] {
    if (devices === this.#devices) return this.#schedules;
    const key = devices.join();
    let schedules = this.#known.get(key);
    if (schedules === undefined) {
      schedules = make();
      this.#known.set(key, schedules);
    }
    [this.#devices, this.#schedules] = [devices, schedules];
    return schedules;
  }
}

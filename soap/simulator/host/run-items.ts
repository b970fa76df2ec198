import { CoreGroup } from './core-group.ts';
import type { HostItems, ItemGraph } from './host-items.ts';

/** A host: its threads, and the groups of cores that they share. */
export interface HostThreads {
  /** By thread, its group. */
  readonly groupOf: readonly number[];
  /** Cores of each group. */
  readonly cores: number;
  readonly groups: number;
  /** By thread, its process; each has its own where left out. */
  readonly processOf?: readonly number[];
  /**
   * What a thread takes longer, at most, whose core others than its process had meanwhile, microseconds: what they put into the caches
   * in some time takes no longer to be replaced.
   */
  readonly switchUs?: number | undefined;
  /** How long a thread keeps a core that others wait for, microseconds; {@link DEFAULT_SLICE_US} where left out. */
  readonly sliceUs?: number | undefined;
  /** How much longer work takes where all cores are busy. */
  readonly crowding: number;
  /** Cores that other processes keep busy, spread over the groups; none where left out. */
  readonly otherCores?: number;
}

/**
 * The slice of Linux's scheduler on two cores: 0.7 ms, times one more than the logarithm of the number of cores. Source:
 * `sysctl_sched_base_slice` in kernel/sched/fair.c since Linux 6.6.
 */
export const DEFAULT_SLICE_US = 1400;

/** Of a group's cores, the share that is left to its threads however busy others are: the scheduler is fair. */
const LEAST_SHARE = 0.25;

/** Less than a rounding error of any time. */
const EPSILON_US = 1e-6;

/**
 * Runs items on threads that share groups of cores: each thread takes its items in the order in which they became ready. A thread with
 * nothing to do leaves its core to the one that waits longest; one that has kept its core for a slice goes behind those that wait.
 * @returns when each item ends, microseconds
 */
export function runItems(items: HostItems, host: HostThreads): Float64Array {
  const run = new HostRun(items.graph(), host);
  while (run.advance());
  return run.endUs;
}

class HostRun {
  readonly endUs: Float64Array;
  readonly #items: ItemGraph;
  readonly #host: HostThreads;
  readonly #freeCores: number;
  readonly #groups: readonly CoreGroup[];
  /** By group, how fast its threads that run are. */
  readonly #rates: Float64Array;
  /** By item, those that it still waits for. */
  readonly #missing: Int32Array;
  /** By thread: items that are ready, in order; the one that it is at comes first. */
  readonly #queues: number[][];
  readonly #heads: Int32Array;
  /** By thread, microseconds of its first item that are left. */
  readonly #leftUs: Float64Array;
  /** Threads whose items have just ended. */
  readonly #ended: number[] = [];
  #nowUs = 0;
  #done = 0;

  constructor(items: ItemGraph, host: HostThreads) {
    const { groupOf, cores, groups, processOf, otherCores = 0, sliceUs = DEFAULT_SLICE_US, switchUs = 0 } = host;
    const turns = {
      sliceUs: Math.max(1, sliceUs),
      switchUs,
      processOf: (thread: number): number => processOf?.[thread] ?? thread,
    };
    [this.#items, this.#host] = [items, host];
    this.endUs = new Float64Array(items.us.length);
    this.#freeCores = Math.max(LEAST_SHARE * cores, cores - otherCores / groups);
    this.#groups = Array.from({ length: groups }, () => new CoreGroup(cores, turns));
    this.#rates = new Float64Array(groups);
    this.#missing = items.waitsFor.slice();
    this.#queues = groupOf.map(() => []);
    this.#heads = new Int32Array(groupOf.length);
    this.#leftUs = new Float64Array(groupOf.length);
    items.waitsFor.forEach((count, item) => {
      if (count === 0) this.#ready(item);
    });
  }

  /** Goes on to the next moment at which something changes; false once all items have ended. */
  advance(): boolean {
    if (this.#done === this.endUs.length) return false;
    for (const group of this.#groups)
      for (const { thread, coldUs } of group.assign(this.#nowUs)) this.#leftUs[thread]! += coldUs;
    this.#setRates();
    const stepUs = this.#stepUs();
    if (stepUs === Infinity) throw new Error('internal: the work of a host has a cycle');
    this.#nowUs += stepUs;
    this.#ended.length = 0;
    for (let group = 0; group < this.#groups.length; group++) {
      for (const thread of this.#groups[group]!.running) {
        this.#leftUs[thread]! -= stepUs * this.#rates[group]!;
        if (this.#leftUs[thread]! <= EPSILON_US) this.#ended.push(thread);
      }
    }
    for (const thread of this.#ended) this.#end(thread);
    return true;
  }

  #setRates(): void {
    const { cores, groups, crowding, otherCores = 0 } = this.#host;
    const allCores = cores * groups;
    let busy = Math.min(otherCores, allCores);
    for (const { running } of this.#groups) busy += Math.min(running.length, this.#freeCores);
    const slowdown = 1 + (crowding * Math.max(0, Math.min(busy, allCores) - 1)) / Math.max(1, allCores - 1);
    for (let group = 0; group < groups; group++) {
      const running = this.#groups[group]!.running.length;
      this.#rates[group] = Math.min(1, this.#freeCores / Math.max(1, running)) / slowdown;
    }
  }

  /** Until an item ends or a thread's turn does. */
  #stepUs(): number {
    let stepUs = Infinity;
    for (let group = 0; group < this.#groups.length; group++) {
      const { running } = this.#groups[group]!;
      stepUs = Math.min(stepUs, this.#groups[group]!.nextTurnUs() - this.#nowUs);
      for (const thread of running) stepUs = Math.min(stepUs, this.#leftUs[thread]! / this.#rates[group]!);
    }
    return Math.max(0, stepUs);
  }

  #ready(item: number): void {
    const thread = this.#items.threads[item]!;
    const queue = this.#queues[thread]!;
    const sleeps = this.#heads[thread] === queue.length;
    queue.push(item);
    if (!sleeps) return;
    this.#leftUs[thread] = this.#items.us[item]! + this.#items.wakeUs[item]!;
    this.#groupOf(thread).enter(thread);
  }

  /** Ends the item that a thread is at. What waits for it may be the thread's next. */
  #end(thread: number): void {
    const { firstSuccessor, successors, us } = this.#items;
    const queue = this.#queues[thread]!;
    const item = queue[this.#heads[thread]!]!;
    this.endUs[item] = this.#nowUs;
    this.#done += 1;
    for (let edge = firstSuccessor[item]!; edge < firstSuccessor[item + 1]!; edge++) {
      const next = successors[edge]!;
      this.#missing[next]! -= 1;
      if (this.#missing[next] === 0) this.#ready(next);
    }
    this.#heads[thread]! += 1;
    const next = queue[this.#heads[thread]!];
    if (next === undefined) this.#groupOf(thread).leave(thread, this.#nowUs);
    else this.#leftUs[thread] = us[next]!;
  }

  #groupOf(thread: number): CoreGroup {
    return this.#groups[this.#host.groupOf[thread]!]!;
  }
}

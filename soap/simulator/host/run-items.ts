/** Work of one thread of a host. */
export interface HostItem {
  /** Number of the thread. */
  readonly thread: number;
  /** Microseconds of a core that has nothing else to do. */
  readonly us: number;
  /** Microseconds from the end of what it waits for to when it may begin. */
  readonly delayUs: number;
  /** Items that wait for it. */
  readonly successors: number[];
  /** How many items it waits for. */
  waitsFor: number;
}

/** A host: its threads, and the groups of cores that they share. */
export interface HostThreads {
  /** By thread, its group. */
  readonly groupOf: readonly number[];
  /** Cores of each group. */
  readonly cores: number;
  readonly groups: number;
  /** How much longer work takes where all cores are busy. */
  readonly crowding: number;
  /** Cores that other processes keep busy, spread over the groups; none where left out. */
  readonly otherCores?: number;
}

/** Of a group's cores, the share that is left to its threads however busy others are: the scheduler is fair. */
const LEAST_SHARE = 0.25;

/** Less than a rounding error of any time. */
const EPSILON_US = 1e-6;

/**
 * Runs items on threads that share groups of cores: each thread takes its items in the order in which they became ready, threads that
 * have something to do get equal shares of their group's cores (processor sharing, as Linux's fair scheduler comes to).
 * @returns when each item ends, microseconds
 */
export function runItems(
  items: readonly HostItem[],
  { groupOf, cores, groups, crowding, otherCores = 0 }: HostThreads,
): Float64Array {
  const threads = groupOf.length;
  const [allCores, freeCores] = [cores * groups, Math.max(LEAST_SHARE * cores, cores - otherCores / groups)];
  const running = new Int32Array(groups);
  const endUs = new Float64Array(items.length);
  const missing = Int32Array.from(items, ({ waitsFor }) => waitsFor);
  const queues: number[][] = Array.from({ length: threads }, () => []);
  const heads = new Int32Array(threads);
  const active = new Int32Array(threads).fill(-1);
  const leftUs = new Float64Array(threads);
  const sleeping: { atUs: number; item: number }[] = [];
  let [nowUs, done] = [0, 0];
  const ready = (item: number): void => {
    const { delayUs, thread } = items[item]!;
    if (delayUs > 0) insert(sleeping, { atUs: nowUs + delayUs, item });
    else queues[thread]!.push(item);
  };
  items.forEach((_, item) => {
    if (missing[item] === 0) ready(item);
  });
  while (done < items.length) {
    running.fill(0);
    for (let thread = 0; thread < active.length; thread++) {
      if (active[thread] === -1 && heads[thread]! < queues[thread]!.length) {
        active[thread] = queues[thread]![heads[thread]!]!;
        heads[thread]! += 1;
        leftUs[thread] = items[active[thread]!]!.us;
      }
      if (active[thread] !== -1) running[groupOf[thread]!]! += 1;
    }
    let busy = Math.min(otherCores, allCores);
    for (const count of running) busy += Math.min(count, freeCores);
    const slowdown = 1 + (crowding * Math.max(0, Math.min(busy, allCores) - 1)) / Math.max(1, allCores - 1);
    const rates = Array.from(running, (count) => Math.min(1, freeCores / Math.max(1, count)) / slowdown);
    let stepUs = (sleeping.at(-1)?.atUs ?? Infinity) - nowUs;
    for (let thread = 0; thread < active.length; thread++) {
      if (active[thread] !== -1) stepUs = Math.min(stepUs, leftUs[thread]! / rates[groupOf[thread]!]!);
    }
    if (stepUs === Infinity) throw new Error('internal: the work of a host has a cycle');
    nowUs += stepUs;
    for (let thread = 0; thread < active.length; thread++) {
      if (active[thread] === -1) continue;
      leftUs[thread]! -= stepUs * rates[groupOf[thread]!]!;
      if (leftUs[thread]! > EPSILON_US) continue;
      const item = active[thread]!;
      active[thread] = -1;
      endUs[item] = nowUs;
      done += 1;
      for (const next of items[item]!.successors) {
        missing[next]! -= 1;
        if (missing[next] === 0) ready(next);
      }
    }
    while (sleeping.length > 0 && sleeping.at(-1)!.atUs <= nowUs + EPSILON_US) {
      const { item } = sleeping.pop()!;
      queues[items[item]!.thread]!.push(item);
    }
  }
  return endUs;
}

/** Keeps a list sorted, the soonest last. */
function insert<T extends { readonly atUs: number }>(list: T[], entry: T): void {
  let at = list.length;
  while (at > 0 && list[at - 1]!.atUs <= entry.atUs) at--;
  list.splice(at, 0, entry);
}

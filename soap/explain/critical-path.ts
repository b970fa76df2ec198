import type { Causes, Stay } from './causes.ts';
import { NO_TASK } from './causes.ts';

/** A stretch of the iteration, and the task that it is spent on. */
export interface Stretch {
  readonly task: number;
  readonly fromUs: number;
  readonly toUs: number;
  /** The link that the next task of the path waits for all the while, its data being there; -1 where it waits for none. */
  readonly waitingFor: number;
}

/** A moment in the life of a task: its end, or the release of what one stay held. */
interface Moment {
  readonly task: number;
  /** Undefined for the end of the task. */
  readonly stay: number | undefined;
}

/**
 * The critical path: from the end of the iteration back to its start, each stretch spent on the task that the next one waited
 * for, be it for its result or for what it held. Exact: a stretch ends where the next begins, the first at 0, the last at the
 * makespan, in order of time. Stretches without length are left out.
 */
export function criticalPath(causes: Causes): Stretch[] {
  const { endUs, makespanUs } = causes.timeline;
  const last = endUs.indexOf(makespanUs);
  if (last === -1 || makespanUs === 0) return [];
  return walkBack(causes, { task: last, stay: undefined }, 0);
}

/**
 * What a device does between two of its tasks, or before its first: the way to the start of a task, as far back as the gap
 * before it goes.
 */
export function wayTo(causes: Causes, task: number, fromUs: number): Stretch[] {
  const walk = new Walk(causes, fromUs);
  const stay = causes.stays[task]![0];
  return stay === undefined ? [] : walk.run(walk.before(task, 0));
}

function walkBack(causes: Causes, from: Moment, untilUs: number): Stretch[] {
  return new Walk(causes, untilUs).run(from);
}

class Walk {
  readonly #causes: Causes;
  readonly #untilUs: number;
  readonly #stretches: Stretch[] = [];
  /** Since when, going forward, the present task's successor waits for a link; infinite where it does not. */
  #waitingSinceUs = Infinity;
  #waitingFor = NO_TASK;

  constructor(causes: Causes, untilUs: number) {
    this.#causes = causes;
    this.#untilUs = untilUs;
  }

  run(start: Moment | undefined): Stretch[] {
    for (let moment = start; moment !== undefined;) {
      const { task, stay } = moment;
      const entered = stay === undefined ? this.#end(task) : this.#release(task, stay);
      if ((this.#stretches.at(-1)?.fromUs ?? Infinity) <= this.#untilUs) break;
      moment = entered === undefined ? this.#result(task) : this.before(task, entered);
    }
    return this.#stretches.reverse();
  }

  /** What the start of a stay waited for; goes to earlier stays of the same transfer on its way. */
  before(task: number, stay: number): Moment | undefined {
    const { deviceCount } = this.#causes.graph;
    const stays = this.#causes.stays[task]!;
    for (let i = stay; ; i--) {
      const { holder, holderStay, resource, readyUs }: Stay = stays[i]!;
      if (holder !== NO_TASK) {
        if (resource >= deviceCount && readyUs < this.#waitingSinceUs) {
          if (this.#waitingSinceUs === Infinity) this.#waitingFor = resource;
          this.#waitingSinceUs = readyUs;
        }
        return { task: holder, stay: holderStay };
      }
      if (i === 0) return this.#result(task);
      this.#spend(task, stays[i - 1]!.enterUs, stays[i]!.enterUs);
    }
  }

  /** The result that a task waited for. */
  #result(task: number): Moment | undefined {
    const before = this.#causes.lastPredecessor[task]!;
    return before === NO_TASK ? undefined : { task: before, stay: undefined };
  }

  /** Spends the time up to the end of a task; says in which stay it then is. */
  #end(task: number): number | undefined {
    const stays = this.#causes.stays[task]!;
    if (stays.length === 0) return undefined;
    const tails: number[] = [];
    for (const { releaseUs, latencyUs } of stays) tails.push(Math.max(tails.at(-1) ?? 0, releaseUs) + latencyUs);
    for (let i = stays.length - 1; ; i--) {
      const { enterUs, releaseUs } = stays[i]!;
      const before = tails[i - 1] ?? 0;
      if (i === 0 || releaseUs >= before) {
        this.#spend(task, enterUs, tails[i]!);
        return i;
      }
      this.#spend(task, before, tails[i]!);
    }
  }

  #release(task: number, stay: number): number {
    const { enterUs, releaseUs } = this.#causes.stays[task]![stay]!;
    this.#spend(task, enterUs, releaseUs);
    return stay;
  }

  #spend(task: number, earliestUs: number, toUs: number): void {
    const fromUs = Math.max(earliestUs, this.#untilUs);
    if (toUs > fromUs) {
      const since = Math.min(Math.max(this.#waitingSinceUs, fromUs), toUs);
      if (toUs > since) this.#stretches.push({ task, fromUs: since, toUs, waitingFor: this.#waitingFor });
      if (since > fromUs) this.#stretches.push({ task, fromUs, toUs: since, waitingFor: NO_TASK });
    }
    if (earliestUs <= this.#waitingSinceUs) [this.#waitingSinceUs, this.#waitingFor] = [Infinity, NO_TASK];
  }
}

/** A thread that got a core. */
export interface CoreGiven {
  readonly thread: number;
  /** What it takes longer since its caches are cold, microseconds. */
  readonly coldUs: number;
}

/** How threads take turns on a core; microseconds. */
export interface Turns {
  /** How long a thread keeps a core that others wait for. */
  readonly sliceUs: number;
  /**
   * What a thread takes longer, at most, whose core others than its process had meanwhile: what they put into the caches in some time
   * takes no longer to be replaced.
   */
  readonly switchUs: number;
  /** A thread's process. */
  processOf(thread: number): number;
}

const NONE_GIVEN: readonly CoreGiven[] = [];

/** Cores that some threads share: which of them run, and which wait for a core. */
export class CoreGroup {
  readonly #cores: readonly Core[];
  readonly #turns: Turns;
  readonly #waiting: number[] = [];
  readonly #running: number[] = [];

  constructor(cores: number, turns: Turns) {
    this.#cores = Array.from({ length: cores }, () => new Core(turns));
    this.#turns = turns;
  }

  /** Threads that have a core, until the next change. */
  get running(): readonly number[] {
    return this.#running;
  }

  /** A thread has something to do. */
  enter(thread: number): void {
    this.#waiting.push(thread);
  }

  /** A thread that runs has nothing to do any more. */
  leave(thread: number, nowUs: number): void {
    const core = this.#cores.find((each) => each.thread === thread);
    if (core === undefined) throw new Error(`internal: thread ${thread} has no core`);
    core.free(nowUs);
    this.#count();
  }

  /** Gives cores to threads that wait: free ones, then those whose threads have kept them for a slice. */
  assign(nowUs: number): readonly CoreGiven[] {
    if (this.#waiting.length === 0) return NONE_GIVEN;
    const given: CoreGiven[] = [];
    while (this.#waiting.length > 0) {
      const core =
        this.#freeCore(this.#turns.processOf(this.#waiting[0]!)) ??
        this.#cores.find((each) => this.#isOver(each, nowUs));
      if (core === undefined) break;
      if (core.thread !== undefined) {
        this.#waiting.push(core.thread);
        core.free(nowUs);
      }
      const thread = this.#waiting.shift()!;
      given.push({ thread, coldUs: core.take(thread, nowUs) });
      this.#count();
    }
    return given;
  }

  /** When the next thread that runs is to go behind one that waits; infinite where none does. */
  nextTurnUs(): number {
    if (this.#waiting.length === 0) return Infinity;
    let least = Infinity;
    for (const { sinceUs } of this.#cores) least = Math.min(least, sinceUs + this.#turns.sliceUs);
    return least;
  }

  #isOver({ sinceUs }: Core, nowUs: number): boolean {
    return sinceUs + this.#turns.sliceUs <= nowUs;
  }

  /** A core that no thread has, rather the one that a process had last. */
  #freeCore(process: number): Core | undefined {
    let free: Core | undefined;
    for (const core of this.#cores) {
      if (core.thread !== undefined) continue;
      if (core.lastProcess === process) return core;
      free ??= core;
    }
    return free;
  }

  #count(): void {
    this.#running.length = 0;
    for (const { thread } of this.#cores) if (thread !== undefined) this.#running.push(thread);
  }
}

class Core {
  thread: number | undefined;
  lastProcess: number | undefined;
  /** Since when its thread has it. */
  sinceUs = 0;
  readonly #turns: Turns;
  /** Of the time that its thread has it, what goes to cold caches. */
  #coldUs = 0;
  /** How long threads had it beside that, and how long it had been when a process left it. */
  #usedUs = 0;
  readonly #usedWhenLeft = new Map<number, number>();

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** Returns what the thread takes longer, as others had the core since its process did; none the first time. */
  take(thread: number, nowUs: number): number {
    const process = this.#turns.processOf(thread);
    [this.thread, this.lastProcess, this.sinceUs] = [thread, process, nowUs];
    const othersUs = this.#usedUs - (this.#usedWhenLeft.get(process) ?? this.#usedUs);
    this.#coldUs = Math.min(this.#turns.switchUs, othersUs);
    return this.#coldUs;
  }

  free(nowUs: number): void {
    this.#usedUs += Math.max(0, nowUs - this.sinceUs - this.#coldUs);
    this.#usedWhenLeft.set(this.#turns.processOf(this.thread!), this.#usedUs);
    this.thread = undefined;
  }
}

/** Cores that some threads share: which of them run, and which wait for a core. */
export class CoreGroup {
  readonly #cores: readonly Core[];
  readonly #sliceUs: number;
  readonly #processOf: (thread: number) => number;
  readonly #waiting: number[] = [];
  #running: readonly number[] = [];

  /** @param processOf a thread's process: those of one find in the caches what the others left there */
  constructor(cores: number, sliceUs: number, processOf: (thread: number) => number) {
    this.#cores = Array.from({ length: cores }, (): Core => ({ thread: undefined, process: undefined, sinceUs: 0 }));
    this.#sliceUs = sliceUs;
    this.#processOf = processOf;
  }

  /** Threads that have a core. */
  get running(): readonly number[] {
    return this.#running;
  }

  /** A thread has something to do. */
  enter(thread: number): void {
    this.#waiting.push(thread);
  }

  /** A thread that runs has nothing to do any more. */
  leave(thread: number): void {
    const core = this.#cores.find((each) => each.thread === thread);
    if (core === undefined) throw new Error(`internal: thread ${thread} has no core`);
    core.thread = undefined;
    this.#count();
  }

  /**
   * Gives cores to threads that wait: free ones, then those whose threads have kept them for a slice.
   * @returns the threads whose core another process had before
   */
  assign(nowUs: number): number[] {
    const switched: number[] = [];
    while (this.#waiting.length > 0) {
      const process = this.#processOf(this.#waiting[0]!);
      const core = this.#free(process) ?? this.#cores.find((each) => each.sinceUs + this.#sliceUs <= nowUs);
      if (core === undefined) break;
      if (core.thread !== undefined) this.#waiting.push(core.thread);
      const thread = this.#waiting.shift()!;
      if (core.process !== undefined && core.process !== process) switched.push(thread);
      [core.thread, core.process, core.sinceUs] = [thread, process, nowUs];
      this.#count();
    }
    return switched;
  }

  /** When the next thread that runs is to go behind one that waits; infinite where none does. */
  nextTurnUs(): number {
    if (this.#waiting.length === 0) return Infinity;
    return this.#cores.reduce((least, { sinceUs }) => Math.min(least, sinceUs + this.#sliceUs), Infinity);
  }

  /** A core that no thread has, rather the one that a process had last. */
  #free(process: number): Core | undefined {
    const free = this.#cores.filter(({ thread }) => thread === undefined);
    return free.find((each) => each.process === process) ?? free[0];
  }

  #count(): void {
    this.#running = this.#cores.flatMap(({ thread }) => thread ?? []);
  }
}

interface Core {
  thread: number | undefined;
  /** The process that had it last. */
  process: number | undefined;
  sinceUs: number;
}

/** Items as they are run: by number, in arrays that hold no objects. */
export interface ItemGraph {
  /** Number of each item's thread. */
  readonly threads: Int32Array;
  /** Microseconds of a core that has nothing else to do. */
  readonly us: Float64Array;
  /** Microseconds that it takes longer where its thread has nothing to do when it is ready: that must be woken up. */
  readonly wakeUs: Float64Array;
  /** How many items it waits for. */
  readonly waitsFor: Int32Array;
  /** Items that wait for item i: `successors` from `firstSuccessor[i]` to `firstSuccessor[i + 1]`, as they were added. */
  readonly firstSuccessor: Int32Array;
  readonly successors: Int32Array;
}

/** Work of the threads of a host, and what of it waits for what. */
export class HostItems {
  readonly #threads: number[] = [];
  readonly #us: number[] = [];
  readonly #wakeUs: number[] = [];
  readonly #before: number[] = [];
  readonly #after: number[] = [];

  /** Adds an item; returns its number. @param wakeUs see {@link ItemGraph.wakeUs} */
  add(thread: number, us: number, wakeUs: number = 0): number {
    this.#us.push(us);
    this.#wakeUs.push(wakeUs);
    return this.#threads.push(thread) - 1;
  }

  /** An item waits for another. */
  order(before: number, after: number): void {
    this.#before.push(before);
    this.#after.push(after);
  }

  graph(): ItemGraph {
    const count = this.#threads.length;
    const waitsFor = new Int32Array(count);
    const firstSuccessor = new Int32Array(count + 1);
    for (const item of this.#after) waitsFor[item]! += 1;
    for (const item of this.#before) firstSuccessor[item + 1]! += 1;
    for (let item = 0; item < count; item++) firstSuccessor[item + 1]! += firstSuccessor[item]!;
    const successors = new Int32Array(this.#after.length);
    const next = firstSuccessor.slice(0, count);
    this.#before.forEach((item, edge) => (successors[next[item]!++] = this.#after[edge]!));
    return {
      threads: Int32Array.from(this.#threads),
      us: Float64Array.from(this.#us),
      wakeUs: Float64Array.from(this.#wakeUs),
      waitsFor,
      firstSuccessor,
      successors,
    };
  }
}

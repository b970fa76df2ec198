const ALIGNMENT = 64;

interface Run {
  readonly start: number;
  readonly end: number;
  freed: boolean;
}

/** Hands out runs of an area, round and round; they may be given back in any order. */
export class RingSpace {
  readonly #size: number;
  /** Runs that are not free, oldest first. */
  #runs: { readonly id: number; readonly run: Run }[] = [];
  readonly #byId = new Map<number, Run>();
  #next = 0;
  #ids = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** A run of so many bytes; undefined where there is none. */
  take(bytes: number): { readonly id: number; readonly start: number } | undefined {
    const length = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    const start = this.#startOf(length);
    if (start === undefined) return undefined;
    const run = { start, end: start + length, freed: false };
    this.#ids += 1;
    this.#runs.push({ id: this.#ids, run });
    this.#byId.set(this.#ids, run);
    this.#next = run.end;
    return { id: this.#ids, start };
  }

  /** Gives a run back. Returns whether there was one. */
  free(id: number): boolean {
    const run = this.#byId.get(id);
    if (run === undefined) return false;
    this.#byId.delete(id);
    run.freed = true;
    const first = this.#runs.findIndex((each) => !each.run.freed);
    this.#runs = first === -1 ? [] : this.#runs.slice(first);
    return true;
  }

  #startOf(length: number): number | undefined {
    const oldest = this.#runs[0]?.run.start;
    if (oldest === undefined) return length <= this.#size ? 0 : undefined;
    // What lies before the oldest run, or from the newest to the end and then before the oldest.
    if (this.#next <= oldest) return this.#next + length <= oldest ? this.#next : undefined;
    if (this.#next + length <= this.#size) return this.#next;
    return length <= oldest ? 0 : undefined;
  }
}

const ALIGNMENT = 64;

interface Run {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Hands out runs of an area, each the first free one that is long enough, so that no more of the area is ever touched than is under way at a
 * time, and what is touched is still in the caches. They may be given back in any order.
 */
export class AreaSpace {
  readonly #size: number;
  /** Runs that are not free, by where they are. */
  readonly #runs: Run[] = [];
  #ids = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** A run of so many bytes; undefined where there is none. */
  take(bytes: number): { readonly id: number; readonly start: number } | undefined {
    const length = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    let start = 0;
    let index = 0;
    for (; index < this.#runs.length && this.#runs[index]!.start < start + length; index++)
      start = this.#runs[index]!.end;
    if (start + length > this.#size) return undefined;
    this.#ids += 1;
    this.#runs.splice(index, 0, { id: this.#ids, start, end: start + length });
    return { id: this.#ids, start };
  }

  /** Gives a run back. Returns whether there was one. */
  free(id: number): boolean {
    const index = this.#runs.findIndex((run) => run.id === id);
    if (index === -1) return false;
    this.#runs.splice(index, 1);
    return true;
  }
}

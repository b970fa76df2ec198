/** Steps that are in no window: what is made on first use is made in them. */
export const FIRST_STEPS = 4;
/** Steps and milliseconds of a window at least. */
const [WINDOW_STEPS, WINDOW_MS] = [5, 700];
/**
 * How much less than the window before it a window may take and be the same: V8 compiles what runs often while it runs, so that iterations
 * get shorter for seconds (by 20 to 40 % on four devices of two cores), and they differ by some per cent in any case.
 */
const STILL_FALLING = 0.98;
/**
 * Milliseconds before which nothing counts: iterations can be the same for two seconds before V8 makes them shorter. Source: measured,
 * docs/performance/predictions.md.
 */
const LEAST_MS = 4000;
/** Milliseconds until a run counts as it is. */
const PATIENCE_MS = 8000;

/** Watches the steps of a run until they no longer get shorter. */
export class SteadySteps {
  readonly #endsMs: number[] = [];
  /** By window, the index of its first step's beginning, which is the end of the step before; the last is still open. */
  readonly #windows: number[] = [FIRST_STEPS - 1];

  /**
   * A step has ended at this time.
   * @returns whether that is enough: the last two windows took the same, or they never will
   */
  add(endMs: number): boolean {
    this.#endsMs.push(endMs);
    const last = this.#endsMs.length - 1;
    const from = this.#windows.at(-1)!;
    if (last - from < WINDOW_STEPS || endMs - this.#endsMs[from]! < WINDOW_MS) return false;
    this.#windows.push(last);
    if (this.#windows.length < 3) return false;
    const [before, now] = [this.#meanMs(-3), this.#meanMs(-2)];
    const trainedMs = endMs - this.#endsMs[0]!;
    return trainedMs > LEAST_MS && (now > STILL_FALLING * before || trainedMs > PATIENCE_MS);
  }

  /** Index of the last step before those that count: of the last two windows, or of the later half of a run that ended too soon. */
  get before(): number {
    return this.#windows.at(-3) ?? Math.floor(this.#endsMs.length / 2);
  }

  /** Milliseconds of each step that counts. */
  get stepsMs(): number[] {
    const ends = this.#endsMs.slice(this.before);
    return ends.slice(1).map((ms, i) => ms - ends[i]!);
  }

  /** Mean step of a window, counted from the end. */
  #meanMs(index: number): number {
    const [from, to] = [this.#windows.at(index)!, this.#windows.at(index + 1)!];
    return middleMean(this.#endsMs.slice(from + 1, to + 1).map((ms, i) => ms - this.#endsMs[from + i]!));
  }
}

/** The mean of the middle half of some numbers, which neither disturbances move nor turns. */
export function middleMean(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.slice(Math.floor(sorted.length / 4), Math.ceil((3 * sorted.length) / 4));
  return middle.reduce((sum, value) => sum + value, 0) / middle.length;
}

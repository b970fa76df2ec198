const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 60_000;

/** What a visit asks for: nothing more, or another visit later. */
export interface VisitResult {
  readonly requeueAfterMs?: number | undefined;
}

/**
 * Visits keys one at a time each: a key added while it waits is visited once, one added while it is visited is visited again
 * after. A failed visit is repeated with exponential back-off.
 * Source of the rules: client-go's workqueue.
 */
export class WorkQueue {
  readonly #visit: (key: string) => Promise<VisitResult>;
  readonly #onError: (key: string, error: unknown) => void;
  readonly #dirty = new Set<string>();
  readonly #processing = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #concurrency: number;
  #stopped = false;

  constructor(
    visit: (key: string) => Promise<VisitResult>,
    onError: (key: string, error: unknown) => void,
    concurrency: number = 4,
  ) {
    this.#visit = visit;
    this.#onError = onError;
    this.#concurrency = concurrency;
  }

  /** Keys that wait for a visit. */
  get depth(): number {
    return this.#dirty.size;
  }

  add(key: string): void {
    if (this.#stopped) return;
    this.#cancelTimer(key);
    this.#dirty.add(key);
    this.#work();
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#stopped) return;
    this.#cancelTimer(key);
    this.#timers.set(
      key,
      setTimeout(() => this.add(key), delayMs),
    );
  }

  /** Starts no more visits; resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#dirty.clear();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    while (this.#processing.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  #work(): void {
    for (const key of this.#dirty) {
      if (this.#processing.size >= this.#concurrency) return;
      if (this.#processing.has(key)) continue;
      this.#dirty.delete(key);
      this.#processing.add(key);
      void this.#process(key);
    }
  }

  async #process(key: string): Promise<void> {
    try {
      const { requeueAfterMs } = await this.#visit(key);
      this.#failures.delete(key);
      if (requeueAfterMs !== undefined && !this.#dirty.has(key)) this.addAfter(key, requeueAfterMs);
    } catch (error) {
      this.#onError(key, error);
      const failures = this.#failures.get(key) ?? 0;
      this.#failures.set(key, failures + 1);
      this.addAfter(key, Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures));
    }
    this.#processing.delete(key);
    this.#work();
  }

  #cancelTimer(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
  }
}

import { MAX_TIMER_MS } from '../../soap/timers.ts';

const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 60_000;

/** What a visit asks for: nothing more, or another visit later. */
export interface VisitResult {
  readonly requeueAfterMs?: number | undefined;
}

/** What is told of the queue as it works, for metrics. Seconds. */
export interface QueueObserver {
  added(): void;
  retried(): void;
  started(waitedSeconds: number): void;
  ended(workedSeconds: number): void;
}

/**
 * Visits keys one at a time each: a key added while it waits is visited once, one added while it is visited is visited again
 * after, behind those that wait by then. A failed visit is repeated with exponential back-off.
 * Source of the rules: client-go's workqueue.
 */
export class WorkQueue {
  readonly #visit: (key: string) => Promise<VisitResult>;
  readonly #onError: (key: string, error: unknown) => void;
  /** With when each was added, in milliseconds; in the order in which they are visited. */
  readonly #dirty = new Map<string, number>();
  /** With when each visit began. */
  readonly #processing = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #concurrency: number;
  readonly #observer: QueueObserver | undefined;
  #stopped = false;
  #held = false;
  #idle: (() => void) | undefined;

  constructor(
    visit: (key: string) => Promise<VisitResult>,
    onError: (key: string, error: unknown) => void,
    concurrency: number = 4,
    observer?: QueueObserver,
  ) {
    this.#visit = visit;
    this.#onError = onError;
    this.#concurrency = concurrency;
    this.#observer = observer;
  }

  /** Keys that wait for a visit. */
  get depth(): number {
    return this.#dirty.size;
  }

  /** Visits under way. */
  get active(): number {
    return this.#processing.size;
  }

  /** Keys that are remembered for a retry or a visit later; none of a job that is gone. */
  get remembered(): number {
    return this.#failures.size + this.#timers.size;
  }

  /** Seconds since the visits under way began. */
  get workingSeconds(): number[] {
    const nowMs = performance.now();
    return [...this.#processing.values()].map((startMs) => (nowMs - startMs) / 1000);
  }

  add(key: string): void {
    if (this.#stopped) return;
    this.#cancelTimer(key);
    if (this.#dirty.has(key)) return;
    this.#dirty.set(key, performance.now());
    this.#observer?.added();
    this.#work();
  }

  /** Adds a key after so long, or after the longest that a timer waits: a visit that comes early asks for another. */
  addAfter(key: string, delayMs: number): void {
    if (this.#stopped) return;
    this.#cancelTimer(key);
    const timer = setTimeout(
      () => {
        this.#timers.delete(key);
        this.add(key);
      },
      Math.min(delayMs, MAX_TIMER_MS),
    );
    this.#timers.set(key, timer);
  }

  /** Starts no visits until {@link release}; what is added meanwhile waits. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#work();
  }

  /** Starts no more visits; resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#dirty.clear();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    if (this.#processing.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  #work(): void {
    if (this.#held) return;
    for (const [key, addedMs] of this.#dirty) {
      if (this.#processing.size >= this.#concurrency) return;
      if (this.#processing.has(key)) continue;
      const startMs = performance.now();
      this.#dirty.delete(key);
      this.#processing.set(key, startMs);
      this.#observer?.started((startMs - addedMs) / 1000);
      void this.#process(key, startMs);
    }
  }

  async #process(key: string, startMs: number): Promise<void> {
    try {
      const { requeueAfterMs } = await this.#visit(key);
      this.#failures.delete(key);
      if (requeueAfterMs !== undefined && !this.#dirty.has(key)) this.addAfter(key, requeueAfterMs);
    } catch (error) {
      this.#onError(key, error);
      const failures = this.#failures.get(key) ?? 0;
      this.#failures.set(key, failures + 1);
      this.#observer?.retried();
      if (!this.#dirty.has(key)) this.addAfter(key, Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures));
    }
    this.#processing.delete(key);
    this.#observer?.ended((performance.now() - startMs) / 1000);
    this.#work();
    if (this.#processing.size === 0) this.#idle?.();
  }

  #cancelTimer(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
  }
}

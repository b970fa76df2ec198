import { setTimeout as sleep } from 'node:timers/promises';
import type { TrainingJobResource } from '../api/resource.ts';
import type { JobEvent } from '../decide/types.ts';
import { isTransient } from './transient.ts';

/** What an event is about. */
export interface Regarding {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

/** Writes one event. */
export type WriteEvent = (regarding: Regarding, event: JobEvent, time: Date) => Promise<void>;

interface Waiting {
  readonly regarding: Regarding;
  readonly event: JobEvent;
  readonly time: Date;
}

/** Beyond this many, events are dropped: conditions tell the same. */
const MAX_WAITING = 10_000;

/** Source: client-go's event recorder tries 12 times, 10 s apart. */
const TRIES = 12;
const RETRY_MS = 10_000;

/**
 * Between two events: of a thousand jobs that come at once, pods are the more urgent. Source: controller-runtime's clients send 20
 * requests a second.
 */
const PAUSE_MS = 50;

/**
 * Writes events one after the other beside the visits: nobody waits for an event, and it must not fail what it tells of. Source of
 * the idea: client-go's event broadcaster.
 */
export class EventRecorder {
  readonly #write: WriteEvent;
  readonly #onError: (error: unknown) => void;
  readonly #retryMs: number;
  readonly #pauseMs: number;
  readonly #abort = new AbortController();
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(
    write: WriteEvent,
    onError: (error: unknown) => void,
    retryMs: number = RETRY_MS,
    pauseMs: number = PAUSE_MS,
  ) {
    this.#write = write;
    this.#onError = onError;
    this.#retryMs = retryMs;
    this.#pauseMs = pauseMs;
  }

  record(resource: TrainingJobResource, events: readonly JobEvent[]): void {
    if (this.#abort.signal.aborted || events.length === 0) return;
    if (this.#waiting.length + events.length > MAX_WAITING) {
      this.#onError(new Error(`more than ${MAX_WAITING} events wait to be written; those of now are dropped`));
      return;
    }
    const time = new Date();
    // Not the whole resource: it would be kept as long as the event waits.
    const { apiVersion, kind, metadata } = resource;
    const { name = '', namespace = '', uid = '' } = metadata;
    const regarding = { apiVersion, kind, name, namespace, uid };
    this.#waiting.push(...events.map((event) => ({ regarding, event, time })));
    this.#running ??= this.#run();
  }

  /** Writes what waits, each once, for at most so long. */
  async stop(limitMs: number): Promise<void> {
    this.#abort.abort();
    await Promise.race([this.#running, sleep(limitMs, undefined, { ref: false })]);
    this.#waiting = [];
  }

  async #run(): Promise<void> {
    for (let at = this.#waiting.shift(); at !== undefined; at = this.#waiting.shift()) {
      await this.#persist(at);
      await this.#sleep(this.#pauseMs);
    }
    this.#running = undefined;
  }

  async #persist({ regarding, event, time }: Waiting): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#write(regarding, event, time);
        return;
      } catch (error) {
        if (!isTransient(error) || tries >= TRIES || this.#abort.signal.aborted) {
          this.#onError(error);
          return;
        }
        await this.#sleep(this.#retryMs);
      }
    }
  }

  async #sleep(delayMs: number): Promise<void> {
    await sleep(delayMs, undefined, { signal: this.#abort.signal }).catch(() => undefined);
  }
}

import type { KubeConfig, KubernetesObject } from '@kubernetes/client-node';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiStatusError } from './api-error.ts';
import { listAll } from './list.ts';
import { withoutManagers } from './trim.ts';
import { watchStream } from './watch-stream.ts';

/** The pauses of an informer, in milliseconds; tests shorten them. */
export interface InformerTimes {
  /** After the first failure; doubled after each further one. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** A list that takes longer, all its pages together, has failed. */
  readonly listTimeoutMs: number;
  /** Everything is listed anew so often, which mends whatever was missed. */
  readonly relistMs: number;
  /** A watch that ends sooner counts as failed, so that a server that closes at once is not asked without pause. */
  readonly shortestWatchMs: number;
  /** A watch that brings nothing for so long, not even a bookmark, is opened anew from where it stood. */
  readonly silenceMs: number;
}

const TIMES: InformerTimes = {
  firstDelayMs: 500,
  maxDelayMs: 5000,
  listTimeoutMs: 60_000,
  relistMs: 600_000,
  shortestWatchMs: 1000,
  silenceMs: 90_000,
};

/** A Retry-After beyond this is not followed. */
const LONGEST_ASKED_MS = 60_000;

/** The server ends a watch by itself after so long. */
const WATCH_SECONDS = 300;

export interface InformerOptions<T> {
  readonly config: KubeConfig;
  /** Such as `/api/v1/nodes`. */
  readonly path: string;
  readonly times?: Partial<InformerTimes>;
  /** The API need not be installed, nor be allowed: where it answers 404 or 403 there are no such objects, until the next list. */
  readonly optional?: boolean;
  /** Asked where the server refuses (403): whether what holds the objects is gone, and they with it. Never, where it is absent. */
  readonly isGone?: (signal: AbortSignal) => Promise<boolean>;
  /** Takes away what nobody reads, before anything is kept; names, uid and version must stay. May change its argument. */
  readonly trim?: (object: T) => T;
  /** Called with every object that is new, changed or gone, and what the cache had before. */
  readonly onChange: (object: T, before: T | undefined) => void;
  readonly onError: (error: unknown) => void;
  /** Called when everything could be listed again after failures. */
  readonly onRecovered?: () => void;
}

/**
 * A cache of one kind of object that keeps itself true: list, then watch from there; a watch that ends in good order is
 * continued, after any failure everything is listed again, with a growing pause. The client library's own informer dies on the
 * first error instead.
 */
export class Informer<T extends KubernetesObject> {
  readonly #options: InformerOptions<T>;
  readonly #times: InformerTimes;
  readonly #cache = new Map<string, T>();
  readonly #abort = new AbortController();
  readonly #firstList = Promise.withResolvers<void>();
  readonly #firstAnswer = Promise.withResolvers<void>();
  /** Resolves after the first successful list. */
  readonly synced: Promise<void> = this.#firstList.promise;
  /** Resolves after the first list that is successful or refused: one that is refused may be so for ever. */
  readonly settled: Promise<void> = this.#firstAnswer.promise;
  #running: Promise<void> | undefined;
  /** The version that the cache stands at; undefined asks for a list. */
  #version: string | undefined;
  #listedAtMs = 0;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  /** In a row, for the length of the pause. */
  #failures = 0;
  /** Until everything has been listed again. */
  #failing = false;
  #isRefused = false;
  #isGone = false;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
  }

  /** Starts once; further calls change nothing. */
  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** How long the server has been failing to answer; 0 while the watch stands. */
  get staleMs(): number {
    return this.#failing ? performance.now() - this.#heardAtMs : 0;
  }

  /** Whether the server let nothing be read (403) when it last said so; until everything has been listed again. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Whether it is refused since what holds the objects is gone. */
  get isGone(): boolean {
    return this.#isGone;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#cache.get(`${namespace}/${name}`);
  }

  all(): T[] {
    return [...this.#cache.values()];
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      try {
        if (this.#version === undefined || performance.now() - this.#listedAtMs > this.#times.relistMs)
          await this.#list();
        this.#settle();
        if (!(await this.#watch(this.#version))) await this.#pause(undefined);
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  async #recover(error: unknown): Promise<void> {
    this.#version = undefined;
    if (this.#abort.signal.aborted) return;
    const { optional = false, onError } = this.#options;
    if (optional && error instanceof ApiStatusError && (error.status === 404 || error.status === 403)) {
      this.#replace([]);
      this.#failures = 0;
      this.#failing = false;
      this.#settle();
      await this.#sleep(this.#times.relistMs);
      return;
    }
    this.#failures += 1;
    this.#failing = true;
    if (error instanceof ApiStatusError && error.status === 403) await this.#refuse();
    onError(error);
    await this.#pause(error instanceof ApiStatusError ? error.retryAfterMs : undefined);
  }

  #settle(): void {
    this.#firstList.resolve();
    this.#firstAnswer.resolve();
  }

  /** What is known stays, unless the server says that it is gone. */
  async #refuse(): Promise<void> {
    this.#isRefused = true;
    this.#isGone = (await this.#options.isGone?.(this.#abort.signal)) ?? false;
    if (this.#isGone) this.#replace([]);
    this.#firstAnswer.resolve();
  }

  /** At least as long as the server asked for. */
  async #pause(askedMs: number | undefined): Promise<void> {
    const { firstDelayMs, maxDelayMs } = this.#times;
    const grownMs = Math.min(maxDelayMs, firstDelayMs * 2 ** (this.#failures - 1));
    await this.#sleep(Math.max(grownMs, Math.min(LONGEST_ASKED_MS, askedMs ?? 0)) * (1 + Math.random() / 2));
  }

  async #sleep(delayMs: number): Promise<void> {
    await sleep(delayMs, undefined, { signal: this.#abort.signal }).catch(() => undefined);
  }

  /** Brings the cache to what the server has, telling of every difference. */
  async #list(): Promise<void> {
    const { config, path } = this.#options;
    const timeout = AbortSignal.timeout(this.#times.listTimeoutMs);
    const { items, resourceVersion } = await listAll<T>(config, path, AbortSignal.any([this.#abort.signal, timeout]));
    this.#replace(items);
    this.#version = resourceVersion;
    this.#listedAtMs = performance.now();
    this.#heard();
    this.#isRefused = false;
    this.#isGone = false;
    if (this.#failing) this.#options.onRecovered?.();
    this.#failing = false;
  }

  #replace(items: readonly T[]): void {
    const listed = new Map(items.map((item) => [keyOf(item), item]));
    const gone = [...this.#cache].filter(([key, old]) => listed.get(key)?.metadata?.uid !== old.metadata?.uid);
    for (const [key, object] of gone) {
      this.#cache.delete(key);
      this.#tell(object, object);
    }
    for (const [key, object] of listed) {
      const before = this.#cache.get(key);
      if (before !== undefined && before.metadata?.resourceVersion === object.metadata?.resourceVersion) continue;
      const kept = this.#trim(object);
      this.#cache.set(key, kept);
      this.#tell(kept, before);
    }
  }

  /**
   * Watches until it ends in good order.
   * @returns whether it stood for a while; only then, however it ends, failures before it are over
   */
  async #watch(resourceVersion: string | undefined): Promise<boolean> {
    const { config, path } = this.#options;
    const query = { resourceVersion: resourceVersion ?? '0', timeoutSeconds: WATCH_SECONDS, allowWatchBookmarks: true };
    const { shortestWatchMs, silenceMs } = this.#times;
    const startMs = performance.now();
    const stood = (): boolean => performance.now() - startMs >= shortestWatchMs;
    try {
      await watchStream<T>(config, path, query, {
        signal: this.#abort.signal,
        silenceMs,
        onEvent: (type, object) => {
          if (type === 'ERROR') throw watchError(object);
          this.#take(type, object);
        },
      });
      if (!stood()) this.#failures += 1;
    } finally {
      if (stood()) this.#failures = 0;
    }
    return this.#failures === 0;
  }

  #heard(): void {
    this.#heardAtMs = performance.now();
  }

  #take(phase: string, received: T): void {
    this.#version = received.metadata?.resourceVersion ?? this.#version;
    this.#heard();
    if (phase === 'BOOKMARK') return;
    const object = this.#trim(received);
    const old = this.#cache.get(keyOf(object));
    if (phase === 'DELETED') this.#cache.delete(keyOf(object));
    else this.#cache.set(keyOf(object), object);
    // A name that was given to another object while the events were missed: the old one is gone.
    const isOther = old !== undefined && old.metadata?.uid !== object.metadata?.uid;
    if (isOther) this.#tell(old, old);
    this.#tell(object, isOther ? undefined : old);
  }

  /** An object that is nothing like its kind is kept whole, rather than that it stops all others. */
  #trim(object: T): T {
    try {
      return (this.#options.trim ?? withoutManagers)(object);
    } catch (error) {
      this.#options.onError(error);
      return object;
    }
  }

  #tell(object: T, before: T | undefined): void {
    try {
      this.#options.onChange(object, before);
    } catch (error) {
      this.#options.onError(error);
    }
  }
}

function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

/** Most often 410 Gone: the version is too old. Listing again is the answer to any of them. */
function watchError(status: unknown): Error {
  const { code, message }: { code?: unknown; message?: unknown } = Object(status);
  return new Error(`the API server ended a watch: ${String(code)} ${String(message)}`);
}

import type { KubeConfig, KubernetesObject } from '@kubernetes/client-node';
import { Watch } from '@kubernetes/client-node';
import { setTimeout as sleep } from 'node:timers/promises';
import { listAll } from './list.ts';

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
}

const TIMES: InformerTimes = {
  firstDelayMs: 500,
  maxDelayMs: 30_000,
  listTimeoutMs: 60_000,
  relistMs: 600_000,
  shortestWatchMs: 1000,
};

/** The server ends a watch by itself after so long. */
const WATCH_SECONDS = 300;

export interface InformerOptions<T> {
  readonly config: KubeConfig;
  /** Such as `/api/v1/nodes`. */
  readonly path: string;
  readonly times?: Partial<InformerTimes>;
  /** Called with every object that is new, changed or gone. */
  onChange(object: T): void;
  onError(error: unknown): void;
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
  #synced: () => void = () => undefined;
  /** Resolves after the first successful list. */
  readonly synced: Promise<void> = new Promise((resolve) => {
    this.#synced = resolve;
  });
  #running: Promise<void> | undefined;
  /** The version that the cache stands at; undefined asks for a list. */
  #version: string | undefined;
  #listedAtMs = 0;

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

  get(namespace: string, name: string): T | undefined {
    return this.#cache.get(`${namespace}/${name}`);
  }

  all(): T[] {
    return [...this.#cache.values()];
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#abort.signal.aborted) {
      try {
        if (this.#version === undefined || performance.now() - this.#listedAtMs > this.#times.relistMs)
          await this.#list();
        this.#synced();
        const startMs = performance.now();
        await this.#watch(this.#version);
        const lastedMs = performance.now() - startMs;
        failures = lastedMs < this.#times.shortestWatchMs ? failures + 1 : 0;
      } catch (error) {
        this.#version = undefined;
        failures += 1;
        if (!this.#abort.signal.aborted) this.#options.onError(error);
      }
      if (failures > 0) await this.#pause(failures);
    }
  }

  async #pause(failures: number): Promise<void> {
    const { firstDelayMs, maxDelayMs } = this.#times;
    const delayMs = Math.min(maxDelayMs, firstDelayMs * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
    await sleep(delayMs, undefined, { signal: this.#abort.signal }).catch(() => undefined);
  }

  /** Brings the cache to what the server has, telling of every difference. */
  async #list(): Promise<void> {
    const { config, path } = this.#options;
    const timeout = AbortSignal.timeout(this.#times.listTimeoutMs);
    const { items, resourceVersion } = await listAll<T>(config, path, AbortSignal.any([this.#abort.signal, timeout]));
    const listed = new Map(items.map((item) => [keyOf(item), item]));
    const gone = [...this.#cache].filter(([key, old]) => listed.get(key)?.metadata?.uid !== old.metadata?.uid);
    for (const [key, object] of gone) {
      this.#cache.delete(key);
      this.#tell(object);
    }
    for (const [key, object] of listed) {
      if (this.#cache.get(key)?.metadata?.resourceVersion === object.metadata?.resourceVersion) continue;
      this.#cache.set(key, object);
      this.#tell(object);
    }
    this.#version = resourceVersion;
    this.#listedAtMs = performance.now();
  }

  /** Resolves when the watch ended in good order. */
  async #watch(resourceVersion: string | undefined): Promise<void> {
    const { config, path } = this.#options;
    const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
    ended.catch(() => undefined);
    const query = { resourceVersion: resourceVersion ?? '0', timeoutSeconds: WATCH_SECONDS, allowWatchBookmarks: true };
    const request = await new Watch(config).watch(
      path,
      query,
      (phase: string, object: T) => (phase === 'ERROR' ? reject(watchError(object)) : this.#take(phase, object)),
      (error: unknown) => (isOrderlyEnd(error) ? resolve() : reject(error)),
    );
    const stop = (): void => request.abort();
    this.#abort.signal.addEventListener('abort', stop, { once: true });
    if (this.#abort.signal.aborted) stop();
    await ended.finally(() => {
      this.#abort.signal.removeEventListener('abort', stop);
      request.abort();
    });
  }

  #take(phase: string, object: T): void {
    this.#version = object.metadata?.resourceVersion ?? this.#version;
    if (phase === 'BOOKMARK') return;
    const old = this.#cache.get(keyOf(object));
    if (phase === 'DELETED') this.#cache.delete(keyOf(object));
    else this.#cache.set(keyOf(object), object);
    // A name that was given to another object while the events were missed: the old one is gone.
    if (old !== undefined && old.metadata?.uid !== object.metadata?.uid) this.#tell(old);
    this.#tell(object);
  }

  #tell(object: T): void {
    try {
      this.#options.onChange(object);
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

/** The library ends a watch that has been silent for 30 s with a TimeoutError; that is no fault. */
function isOrderlyEnd(error: unknown): boolean {
  if (error === null || error === undefined) return true;
  return error instanceof Error && (error.name === 'TimeoutError' || error.message.includes('due to timeout'));
}

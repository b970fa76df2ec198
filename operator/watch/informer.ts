import type { KubeConfig, KubernetesObject } from '@kubernetes/client-node';
import { Watch } from '@kubernetes/client-node';
import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;
/** A watch ends by itself after so long; then everything is listed anew, which mends whatever was missed. */
const WATCH_SECONDS = 300;
const LIST_TIMEOUT_MS = 30_000;

export interface InformerOptions<T> {
  readonly config: KubeConfig;
  /** Such as `/api/v1/nodes`. */
  readonly path: string;
  /** Lists everything; its own pages. */
  list(): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string | undefined }>;
  /** Called with every object that is new, changed or gone. */
  onChange(object: T): void;
  onError(error: unknown): void;
}

/**
 * A cache of one kind of object that keeps itself true: list, then watch; whenever the watch ends, for whatever reason, list
 * again, after a growing pause when it failed. The client library's own informer dies on the first error instead.
 */
export class Informer<T extends KubernetesObject> {
  readonly #options: InformerOptions<T>;
  readonly #cache = new Map<string, T>();
  readonly #abort = new AbortController();
  #synced: () => void = () => undefined;
  /** Resolves after the first successful list. */
  readonly synced: Promise<void> = new Promise((resolve) => {
    this.#synced = resolve;
  });
  #running: Promise<void> | undefined;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
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
        const version = await this.#list();
        this.#synced();
        await this.#watch(version);
        failures = 0;
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        this.#options.onError(error);
        const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures) * (0.5 + Math.random() / 2);
        failures += 1;
        await sleep(delayMs, undefined, { signal: this.#abort.signal }).catch(() => undefined);
      }
    }
  }

  /** Brings the cache to what the server has, telling of every difference. */
  async #list(): Promise<string | undefined> {
    const timeout = sleep(LIST_TIMEOUT_MS, undefined, { ref: false }).then((): never => {
      throw new Error(`listing ${this.#options.path} took more than ${LIST_TIMEOUT_MS / 1000} s`);
    });
    const { items, resourceVersion } = await Promise.race([this.#options.list(), timeout]);
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
    return resourceVersion;
  }

  /** Resolves when the watch ended in good order. */
  async #watch(resourceVersion: string | undefined): Promise<void> {
    const { config, path } = this.#options;
    let settle: { resolve(): void; reject(error: unknown): void } | undefined;
    const ended = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
    ended.catch(() => undefined);
    const query = { resourceVersion: resourceVersion ?? '0', timeoutSeconds: WATCH_SECONDS, allowWatchBookmarks: true };
    const request = await new Watch(config).watch(
      path,
      query,
      (phase: string, object: T) => this.#take(phase, object, settle),
      (error: unknown) => (isOrderlyEnd(error) ? settle?.resolve() : settle?.reject(error)),
    );
    const stop = (): void => request.abort();
    this.#abort.signal.addEventListener('abort', stop, { once: true });
    if (this.#abort.signal.aborted) stop();
    await ended.finally(() => {
      this.#abort.signal.removeEventListener('abort', stop);
      request.abort();
    });
  }

  #take(phase: string, object: T, settle: { resolve(): void; reject(error: unknown): void } | undefined): void {
    // Most often 410 Gone: the version is too old. Listing again is the answer to any of them.
    if (phase === 'ERROR') settle?.resolve();
    else if (phase === 'DELETED') this.#cache.delete(keyOf(object));
    else if (phase === 'ADDED' || phase === 'MODIFIED') this.#cache.set(keyOf(object), object);
    if (phase === 'ADDED' || phase === 'MODIFIED' || phase === 'DELETED') this.#tell(object);
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

/** The library ends a watch that has been silent for 30 s with a TimeoutError; that is no fault. */
function isOrderlyEnd(error: unknown): boolean {
  if (error === null || error === undefined) return true;
  return error instanceof Error && (error.name === 'TimeoutError' || error.message.includes('due to timeout'));
}

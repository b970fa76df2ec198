import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeConfig, V1Lease } from '@kubernetes/client-node';
import { ApiException, CoordinationV1Api, V1MicroTime } from '@kubernetes/client-node';

/** The times of an election, in milliseconds. */
export interface LeaseTimes {
  /** Others take over when nothing was heard for so long. */
  readonly leaseMs: number;
  /** The leader stops acting when it could not renew for so long; less than `leaseMs`, so that two never act at once. */
  readonly deadlineMs: number;
  readonly retryMs: number;
}

/** Source: client-go's leader election, as every controller of Kubernetes runs it. */
const TIMES: LeaseTimes = { leaseMs: 15_000, deadlineMs: 10_000, retryMs: 2000 };

/** Whether a term may begin is asked so often, which costs no request. */
const LOOK_MS = 100;

export interface LeaderOptions {
  readonly config: KubeConfig;
  readonly namespace: string;
  readonly name: string;
  /** Different for every process. */
  readonly identity: string;
  readonly times?: LeaseTimes;
  /** Whether this process may begin a term: asked before it takes the lease, not before it renews it. */
  mayBegin(): boolean;
  onGained(): void;
  onLost(): void;
  onError(error: unknown): void;
}

/** What a lease said when it last changed, by this process's own clock: clocks of other machines are not trusted. */
interface Seen {
  readonly version: string | undefined;
  readonly atMs: number;
}

/**
 * Leadership by a Lease: one of several controllers acts. `holds` is asked before every write, so that a leader that was
 * stopped for a while (a paused process, a lost network) finds that its time is over before it acts again.
 */
export class Leader {
  readonly #options: LeaderOptions;
  readonly #times: LeaseTimes;
  readonly #api: CoordinationV1Api;
  readonly #abort = new AbortController();
  #seen: Seen = { version: undefined, atMs: performance.now() };
  /** When the last renewal that succeeded was sent. */
  #renewedMs = Number.NEGATIVE_INFINITY;
  #leads = false;
  #running: Promise<void> | undefined;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#times = options.times ?? TIMES;
    this.#api = options.config.makeApiClient(CoordinationV1Api);
  }

  /** Whether this process may act now. */
  holds(): boolean {
    return this.#leads && performance.now() - this.#renewedMs < this.#times.deadlineMs;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Stops, and gives the lease back so that another need not wait for its end. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
    const held = this.holds();
    this.#leads = false;
    if (held) await this.#release().catch((error: unknown) => this.#options.onError(error));
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const sentMs = performance.now();
      const acquired = await this.#try().catch((error: unknown) => {
        this.#options.onError(error);
        return false;
      });
      // An answer that took longer than the deadline says nothing about now.
      if (acquired && performance.now() - sentMs < this.#times.deadlineMs) this.#gain(sentMs);
      else if (this.#leads && !this.holds()) this.#lose();
      await this.#pause();
    }
  }

  /** Shorter where this process comes to be one that may begin. */
  async #pause(): Promise<void> {
    const { retryMs } = this.#times;
    const stepMs = this.#options.mayBegin() ? retryMs : Math.min(retryMs, LOOK_MS);
    let waitedMs = 0;
    do {
      await sleep(stepMs, undefined, { signal: this.#abort.signal }).catch(() => undefined);
      waitedMs += stepMs;
    } while (waitedMs < retryMs && !this.#options.mayBegin());
  }

  #gain(sentMs: number): void {
    this.#renewedMs = sentMs;
    if (this.#leads) return;
    this.#leads = true;
    this.#options.onGained();
  }

  #lose(): void {
    this.#leads = false;
    this.#options.onLost();
  }

  /** Renews the lease, or takes it where it is free; returns whether it is this process's then. */
  async #try(): Promise<boolean> {
    const { namespace, name, identity } = this.#options;
    const lease = await this.#read();
    if (lease === undefined) {
      if (!this.#mayClaim()) return false;
      const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace } };
      return this.#write(() => this.#api.createNamespacedLease({ namespace, body: this.#claimed(body, 0) }));
    }
    const { holderIdentity = '', leaseTransitions = 0 } = lease.spec ?? {};
    const isOwn = holderIdentity === identity;
    // Another holds the lease, or held it and gave it back: this process's term is over, whatever its clock says.
    if (!isOwn && this.#leads) this.#lose();
    // Also where none is to begin: how long the lease has not changed counts from now.
    if (!isOwn && holderIdentity !== '' && !this.#isOver(lease)) return false;
    if (!this.#mayClaim()) return false;
    const body = this.#claimed(lease, isOwn ? leaseTransitions : leaseTransitions + 1);
    return this.#write(() => this.#api.replaceNamespacedLease({ namespace, name, body }));
  }

  #mayClaim(): boolean {
    return this.holds() || this.#options.mayBegin();
  }

  async #read(): Promise<V1Lease | undefined> {
    const { namespace, name } = this.#options;
    try {
      return await this.#api.readNamespacedLease({ namespace, name });
    } catch (error) {
      if (error instanceof ApiException && error.code === 404) return undefined;
      throw error;
    }
  }

  /** Of two that write at once, the server refuses one: the version is part of what is written. */
  async #write(write: () => Promise<V1Lease>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      if (error instanceof ApiException && error.code === 409) return false;
      throw error;
    }
  }

  #isOver({ metadata }: V1Lease): boolean {
    const version = metadata?.resourceVersion;
    if (version !== this.#seen.version) this.#seen = { version, atMs: performance.now() };
    return performance.now() - this.#seen.atMs >= this.#times.leaseMs;
  }

  #claimed(lease: V1Lease, leaseTransitions: number): V1Lease {
    const now = new V1MicroTime();
    return {
      ...lease,
      spec: {
        ...lease.spec,
        holderIdentity: this.#options.identity,
        leaseDurationSeconds: Math.ceil(this.#times.leaseMs / 1000),
        acquireTime: this.#leads ? (lease.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions,
      },
    };
  }

  async #release(): Promise<void> {
    const { namespace, name, identity } = this.#options;
    const lease = await this.#read();
    if (lease?.spec?.holderIdentity !== identity) return;
    const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: new V1MicroTime() };
    await this.#write(() => this.#api.replaceNamespacedLease({ namespace, name, body: { ...lease, spec } }));
  }
}

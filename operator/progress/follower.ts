import type { LinkMeasurement, Measurement } from '../../soap/measurement/measurement.ts';
import { isPastFirstStep, measure } from './measure.ts';
import { isOff } from '../../soap/measurement/verdict.ts';
import type { Reading } from './reading.ts';

/** A running job, and where its pods are. */
export interface Target {
  /** `namespace/name`. */
  readonly key: string;
  /** Of the job: one of the same name that comes after it is another. */
  readonly uid: string;
  readonly attempt: number;
  /** Addresses of the attempt's pods, the leader's first. */
  readonly addresses: readonly string[];
  /** Whether the job waits for its next checkpoint. */
  readonly awaitsCheckpoint: boolean;
}

export interface FollowerParts {
  readonly intervalMs: number;
  /** The jobs that run now. */
  readonly targets: () => readonly Target[];
  /** A pod's metrics; undefined where it does not answer. */
  readonly read: (address: string, signal: AbortSignal) => Promise<Reading | undefined>;
  /** Called when there is news of a job. */
  readonly onNews: (key: string) => void;
  readonly nowMs: () => number;
}

/** News of a job are a write of its status: not more often than this, unless it has the checkpoint that it waits for. */
const NEWS_EVERY_MS = 60_000;

/** Jobs that are asked at once. */
const CONCURRENCY = 8;

/** Pods that are asked beside the leader's, where it is to be found out which device is slow. */
const MAX_OTHERS = 64;

interface Followed {
  readonly uid: string;
  readonly attempt: number;
  /** Where the window of the next measurement begins. */
  base: Reading | undefined;
  measurement: Measurement | undefined;
  /** Ways between devices; undefined until all pods were asked, once. */
  links: readonly LinkMeasurement[] | undefined;
  newsMs: number;
}

/**
 * Looks at the metrics of running jobs now and then. Only the leader's pod is asked; all of a job's once, for what they
 * measured of their links, and where its iterations take another time than predicted.
 */
export class ProgressFollower {
  readonly #parts: FollowerParts;
  readonly #followed = new Map<string, Followed>();
  readonly #end = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** What was measured of a job's attempt last. */
  measurement(key: string, uid: string, attempt: number): Measurement | undefined {
    const followed = this.#followed.get(key);
    return followed?.uid === uid && followed.attempt === attempt ? followed.measurement : undefined;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.look().finally(() => {
        if (!this.#end.signal.aborted) this.start();
      });
    }, this.#parts.intervalMs);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /** One look at every running job. */
  async look(): Promise<void> {
    const targets = [...this.#parts.targets()];
    const keys = new Set(targets.map(({ key }) => key));
    for (const key of this.#followed.keys()) if (!keys.has(key)) this.#followed.delete(key);
    const worker = async (): Promise<void> => {
      for (let target = targets.shift(); target !== undefined; target = targets.shift()) {
        if (this.#end.signal.aborted) return;
        await this.#lookAt(target);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  }

  async #lookAt({ key, uid, attempt, addresses: [leader, ...others], awaitsCheckpoint }: Target): Promise<void> {
    if (leader === undefined) return;
    const { read, onNews, nowMs } = this.#parts;
    const followed = this.#entry(key, uid, attempt);
    const reading = await read(leader, this.#end.signal);
    if (reading?.run === undefined || !isPastFirstStep(reading)) return;
    const { base, measurement: last } = followed;
    // A process that was started anew counts from 0 again.
    if (base === undefined || reading.run.step < (base.run?.step ?? 0)) {
      followed.base = reading;
      return;
    }
    const hasCheckpoint = awaitsCheckpoint && last?.checkpointStep !== reading.run.checkpointStep;
    const isNews = hasCheckpoint || nowMs() - followed.newsMs >= NEWS_EVERY_MS;
    const measurement = isNews ? measure(attempt, base, reading) : undefined;
    if (measurement === undefined) return;
    const predictedMs = 1000 * (reading.run.predictedIterationSeconds ?? 0);
    const isSuspect = predictedMs > 0 && isOff(measurement.iterationMs / predictedMs, false);
    const asksAll = isSuspect || followed.links === undefined;
    const more = asksAll ? await this.#readAll(others.slice(0, MAX_OTHERS)) : [];
    followed.links ??= [reading, ...more].flatMap(({ links }) => links);
    const measured = measure(attempt, base, reading, isSuspect ? more : []);
    followed.measurement = measured && { ...measured, links: followed.links };
    followed.base = reading;
    followed.newsMs = nowMs();
    onNews(key);
  }

  async #readAll(addresses: readonly string[]): Promise<Reading[]> {
    const readings = await Promise.all(addresses.map((address) => this.#parts.read(address, this.#end.signal)));
    return readings.filter((reading) => reading !== undefined);
  }

  #entry(key: string, uid: string, attempt: number): Followed {
    const known = this.#followed.get(key);
    if (known?.uid === uid && known.attempt === attempt) return known;
    const entry: Followed = {
      uid,
      attempt,
      base: undefined,
      measurement: undefined,
      links: undefined,
      newsMs: -Infinity,
    };
    this.#followed.set(key, entry);
    return entry;
  }
}

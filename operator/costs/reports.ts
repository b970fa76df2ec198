import type { CoreV1Api } from '@kubernetes/client-node';
import { MAX_HANDOFF_CHARACTERS, readHandoff } from '../../soap/job/handoff.ts';
import type { KeptCosts } from '../../soap/cost/kept-costs.ts';
import { apiMessage } from '../apply/cluster-client.ts';
import { isTransient } from '../apply/transient.ts';
import type { JobEvent, ReportToTake } from '../decide/types.ts';
import type { CostTables } from './cost-tables.ts';
import { unpackCosts } from './packing.ts';

/** Pods whose reports were refused are remembered, the last so many: one that is forgotten is refused again. */
const MAX_REMEMBERED = 1000;

/** Longest sentence of why. */
const MAX_REASON = 300;

/** A log that cannot be read for so long, since the node of its pod is gone, is given up. */
const PATIENCE_MS = 30_000;

/** Takes what pods have measured into the tables. A pod's log is whatever its image wrote: it is checked before anything of it is kept. */
export class Reports {
  readonly #core: Pick<CoreV1Api, 'readNamespacedPodLog'>;
  readonly #tables: Pick<CostTables, 'add'>;
  readonly #nowMs: () => number;
  readonly #rejected = new Map<string, string>();
  /** When a report could not be had for the first time, by uid. */
  readonly #failing = new Map<string, number>();

  constructor(
    core: Pick<CoreV1Api, 'readNamespacedPodLog'>,
    tables: Pick<CostTables, 'add'>,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#core = core;
    this.#tables = tables;
    this.#nowMs = nowMs;
  }

  /** Why reports are not used, by the uid of their pod. */
  get rejected(): ReadonlyMap<string, string> {
    return this.#rejected;
  }

  /**
   * Takes reports in. @returns what is to be told of it
   * @throws {Error} where the API server fails in a way that may pass, for at most {@link PATIENCE_MS}
   */
  async take(namespace: string, reports: readonly ReportToTake[]): Promise<JobEvent[]> {
    const events: JobEvent[] = [];
    for (const report of reports) {
      const dropped = await this.#takeOne(namespace, report);
      if (dropped.length === 0) continue;
      const message = `ConfigMap ${report.table} has no room for all that was measured: ${dropped.join(', ')} were dropped`;
      events.push({ type: 'Normal', reason: 'CostsDropped', message });
    }
    return events;
  }

  async #takeOne(namespace: string, report: ReportToTake): Promise<readonly string[]> {
    const { pod: name, uid, table } = report;
    try {
      const log = await this.#core.readNamespacedPodLog({ name, namespace, limitBytes: MAX_HANDOFF_CHARACTERS });
      const costs = await reported(log, report).catch((error: unknown) => this.#reject(uid, error));
      const dropped = costs === undefined ? [] : await this.#tables.add(namespace, table, costs);
      this.#failing.delete(uid);
      return dropped;
    } catch (error) {
      const sinceMs = this.#failing.get(uid) ?? this.#nowMs();
      if (isTransient(error) && this.#nowMs() - sinceMs < PATIENCE_MS) {
        remember(this.#failing, uid, sinceMs);
        throw error;
      }
      this.#failing.delete(uid);
      this.#reject(uid, error);
      return [];
    }
  }

  #reject(uid: string, error: unknown): undefined {
    remember(this.#rejected, uid, apiMessage(error).replaceAll(/\s+/g, ' ').slice(0, MAX_REASON));
  }
}

/** What a log reports. @throws {Error} a sentence where it is nothing that was asked for */
async function reported(log: string, { deviceType, model }: ReportToTake): Promise<KeptCosts> {
  const costs = await unpackCosts(Buffer.from(readHandoff('costs', log), 'base64'), 'its report');
  const [batch, ...others] = costs.batches;
  if (costs.deviceType === deviceType && batch?.model === model && others.length === 0) return costs;
  throw new Error(`its report is of something else than the model on ${deviceType}`);
}

function remember<T>(map: Map<string, T>, uid: string, value: T): void {
  const [oldest] = map.keys();
  if (map.size >= MAX_REMEMBERED && oldest !== undefined) map.delete(oldest);
  map.set(uid, value);
}

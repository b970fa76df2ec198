import { isDeepStrictEqual } from 'node:util';
import type { Plan } from '../../soap/plan/plan.ts';

/** How far a search is, or was at its end. */
export interface SearchReport {
  readonly proposals: number;
  readonly accepted: number;
  /** Of the best strategy so far. */
  readonly iterationMs: number;
}

/** What is known of a job's last search. */
export interface SearchRecord extends SearchReport {
  /** Predicted iteration time of the strategies that a search is compared with, by name; empty until it has ended. */
  readonly baselinesMs: Readonly<Record<string, number>>;
}

/** Baselines that are told of: as many as a search has. A plan that a job gives may name any number. */
const MAX_BASELINES = 6;

/** Remembers the last search of each job for its metrics, longer than the search itself: a short one would not be seen otherwise. */
export class SearchRecords {
  readonly #newest = new Map<string, SearchRecord>();
  readonly #reports = new Map<string, SearchReport>();
  readonly #planned = new Map<string, SearchRecord>();

  /** @param job namespace and name */
  get(job: string): SearchRecord | undefined {
    return this.#newest.get(job);
  }

  /** Takes in how far a search is. @returns the proposals since the report before, or since its start */
  report(job: string, report: SearchReport): number {
    const known = this.#reports.get(job)?.proposals ?? 0;
    this.#reports.set(job, report);
    this.#newest.set(job, { ...report, baselinesMs: this.#planned.get(job)?.baselinesMs ?? {} });
    // Fewer than before: another search of the same job.
    return report.proposals < known ? report.proposals : report.proposals - known;
  }

  /** Takes in the plan that a job has, made here or by an earlier controller; one that is known already says nothing new. */
  planned(job: string, { prediction, search, baselines }: Plan): void {
    const known = Object.entries(baselines).slice(0, MAX_BASELINES);
    const times = known.map(([name, { iterationMs }]) => [name, iterationMs] as const);
    const { proposals = 0, accepted = 0 } = search ?? {};
    const { iterationMs } = prediction;
    const record = { proposals, accepted, iterationMs, baselinesMs: Object.fromEntries(times) };
    if (isDeepStrictEqual(this.#planned.get(job), record)) return;
    this.#planned.set(job, record);
    this.#newest.set(job, record);
  }

  /** Forgets a job: it is gone, another has its name, or its spec asks for another search. */
  forget(job: string): void {
    for (const records of [this.#newest, this.#reports, this.#planned]) records.delete(job);
  }
}

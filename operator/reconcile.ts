import { isDeepStrictEqual } from 'node:util';
import type { V1Node, V1Pod } from '@kubernetes/client-node';
import { FileError } from '../soap/schema/check.ts';
import type { Plan } from '../soap/plan/plan.ts';
import { decodePlan, encodePlan } from '../soap/plan/plan-file.ts';
import type { TrainingJobResource } from './api/resource.ts';
import type { ClusterClient } from './apply/cluster-client.ts';
import { applyFailure } from './apply/cluster-client.ts';
import type { EventRecorder } from './apply/event-recorder.ts';
import { inParallel } from './apply/in-parallel.ts';
import type { CostTables } from './costs/cost-tables.ts';
import { Reports } from './costs/reports.ts';
import { decide } from './decide/decide.ts';
import { holdingWorkloads } from './decide/queue.ts';
import { endOf } from './decide/rules/lifetime.ts';
import type { ApplyFailure, DecideOptions, Decision, SearchState } from './decide/types.ts';
import { WrittenJobs } from './apply/written-jobs.ts';
import type { ClusterObjects } from './discovery/discover.ts';
import type { SearchReport } from './planning/search-records.ts';
import type { Searches } from './planning/searches.ts';
import type { Measurement } from '../soap/measurement/measurement.ts';
import type { FileSource } from './planning/model-file.ts';
import { readJobFiles } from './planning/model-file.ts';
import type { SearchRequest } from './planning/search-request.ts';
import type { VisitResult } from './watch/work-queue.ts';

/** What the reconciler reads and acts through. */
export interface ReconcilerParts {
  readonly client: ClusterClient;
  readonly events: EventRecorder;
  readonly searches: Searches;
  readonly costs: CostTables;
  readonly options: Omit<DecideOptions, 'now'>;
  /** Where models and plans are read from, beside the API server. */
  readonly files: Omit<FileSource, 'core'>;
  job(namespace: string, name: string): TrainingJobResource | undefined;
  nodes(): readonly V1Node[];
  pods(): readonly V1Pod[];
  /** What else tells of devices. */
  objects(): ClusterObjects;
  /** What the pods of a job's attempt say, if they do. */
  measurement(key: string, uid: string, attempt: number): Measurement | undefined;
  /** Asks for another visit. */
  revisit(key: string): void;
  /** Told of the plan of a job, on every visit. */
  onPlan(key: string, plan: Plan): void;
  /** Told how far the search of a job is. */
  onSearchProgress(key: string, report: SearchReport): void;
  /** Told that what was found for a job is forgotten. */
  onForget(key: string): void;
  /** Told why not all that a visit decided could be done; `isNew` where that was not so, or for another reason, at the visit before. */
  onApplyFailure(key: string, failure: ApplyFailure, isNew: boolean): void;
}

/** After children could not be created. */
const RETRY_APPLY_MS = 5000;
/** After the job changed under a visit; its event comes anyway. */
const RETRY_CONFLICT_MS = 200;

/**
 * One visit to a job: read, decide, one status write, events after it, then apply. The status comes first: a controller that is
 * killed in between finds in it what it had decided, while what it did not do yet follows from what is there.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #written = new WrittenJobs();
  /** By job key: uid and generation whose search is known. */
  readonly #searchKeys = new Map<string, string>();
  readonly #applyErrors = new Map<string, ApplyFailure>();
  readonly #reports: Reports;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
    this.#reports = new Reports(parts.client.core, parts.costs);
  }

  async visit(key: string): Promise<VisitResult> {
    const [namespace = '', name = ''] = key.split('/');
    const cached = this.#parts.job(namespace, name);
    if (cached === undefined || cached.metadata.deletionTimestamp !== undefined) {
      this.#forget(key);
      const held = holdingWorkloads(this.#parts.pods(), namespace, name);
      await inParallel(held.map((workload) => this.#parts.client.deleteWorkload(namespace, workload)));
      return {};
    }
    const resource = this.#written.newest(key, cached);
    const searchKey = this.#searchKey(key, resource);
    const decision = await this.#decide(key, searchKey, resource);
    if (!(await this.#writeStatus(key, resource, decision))) return { requeueAfterMs: RETRY_CONFLICT_MS };
    if (decision.forgetSearch) this.#parts.searches.forget(searchKey);
    if (decision.forgetMoveSearch) this.#parts.searches.forget(moveKey(searchKey));
    this.#search(key, searchKey, namespace, decision);
    await this.#parts.costs.read(namespace, decision.readCosts);
    const notes = await this.#reports.take(namespace, decision.takeReports);
    this.#parts.events.record(resource, notes);
    const applied = await this.#apply(key, resource, decision);
    return { requeueAfterMs: applied ? decision.requeueAfterMs : RETRY_APPLY_MS };
  }

  /**
   * Ends all searches, and forgets what was found of jobs: a plan that was found in a former term as leader need not be the one that
   * another leader gave the job since, which is in its ConfigMap.
   */
  forgetAll(): void {
    this.#parts.searches.forgetAll();
    for (const key of this.#searchKeys.keys()) this.#parts.onForget(key);
    this.#searchKeys.clear();
    this.#applyErrors.clear();
  }

  async #decide(key: string, searchKey: string, resource: TrainingJobResource): Promise<Decision> {
    const { client, searches, options } = this.#parts;
    const search = searches.state(searchKey);
    const planText = mayHavePlan(resource, search) ? await client.planText(resource) : undefined;
    const plan = planText === undefined ? undefined : readablePlan(planText);
    const known = search.kind === 'found' ? search.plan : plan;
    if (known !== undefined) this.#parts.onPlan(key, known);
    return decide(
      {
        resource,
        nodes: this.#parts.nodes(),
        pods: this.#parts.pods(),
        objects: this.#parts.objects(),
        plan,
        search,
        costs: this.#parts.costs.known(resource.metadata.namespace ?? ''),
        rejectedReports: this.#reports.rejected,
        moveSearch: searches.state(moveKey(searchKey)),
        measurement: this.#parts.measurement(key, resource.metadata.uid ?? '', resource.status?.attempt ?? 0),
        applyError: this.#applyErrors.get(key),
      },
      { ...options, now: new Date() },
    );
  }

  #search(key: string, searchKey: string, namespace: string, { startSearch, startMoveSearch }: Decision): void {
    const { client, files, searches, costs: tables } = this.#parts;
    const source = { core: client.core, ...files };
    const revisit = (): void => this.#parts.revisit(key);
    if (startSearch !== undefined) {
      const { job, cluster, inspector, costs } = startSearch;
      searches.start(
        searchKey,
        async () => ({
          job,
          cluster,
          ...(await readJobFiles(job, namespace, inspector, source)),
          costs: await tables.packed(namespace, costs),
        }),
        revisit,
        job.spec.plan === undefined ? 'search' : 'check',
        (report) => this.#parts.onSearchProgress(key, report),
      );
    }
    if (startMoveSearch !== undefined) {
      const { job, cluster, current, costs } = startMoveSearch;
      const request = async (): Promise<SearchRequest> => ({
        job,
        cluster,
        ...(await readJobFiles(job, namespace, undefined, source)),
        costs: await tables.packed(namespace, costs),
        current: { plan: encodePlan(current.plan), cluster: current.cluster },
      });
      searches.start(moveKey(searchKey), request, revisit, 'move');
    }
  }

  /** @returns whether everything could be applied; why not is told on the next visit */
  async #apply(key: string, resource: TrainingJobResource, decision: Decision): Promise<boolean> {
    const { client } = this.#parts;
    const { namespace = '' } = resource.metadata;
    const { deleteJob, deletePods, deleteAttempts, deleteWorkloads, secrets, children, pods, ungatePods, status } =
      decision;
    try {
      if (deleteJob) await client.deleteJob(resource);
      // What pods need is there before them.
      await inParallel([
        ...deletePods.map((pod) => client.deletePod(namespace, pod)),
        ...deleteAttempts.map((attempt) => client.deleteAttempt(namespace, attempt)),
        ...deleteWorkloads.map((workload) => client.deleteWorkload(namespace, workload)),
        client.ensureSecrets(resource, secrets, status.attempt),
        ...children.map((child) => client.apply(child)),
      ]);
      await inParallel([
        ...pods.map((pod) => client.createPod(pod)),
        ...ungatePods.map((pod) => client.ungatePod(namespace, pod)),
      ]);
      this.#applyErrors.delete(key);
      return true;
    } catch (error) {
      const failure = applyFailure(error);
      this.#parts.onApplyFailure(key, failure, failure.message !== this.#applyErrors.get(key)?.message);
      this.#applyErrors.set(key, failure);
      return false;
    }
  }

  /** @returns false where the decision rests on a job that is no longer so */
  async #writeStatus(key: string, resource: TrainingJobResource, { status, events }: Decision): Promise<boolean> {
    if (isDeepStrictEqual(resource.status, JSON.parse(JSON.stringify(status)))) return true;
    const written = await this.#parts.client.writeStatus(resource, status);
    if (written === undefined) return false;
    this.#written.add(key, written);
    this.#parts.events.record(resource, events);
    return true;
  }

  /** A changed spec makes a new search; the old one ends. */
  #searchKey(key: string, { metadata }: TrainingJobResource): string {
    const searchKey = `${metadata.uid}/${metadata.generation}`;
    const before = this.#searchKeys.get(key);
    if (before !== undefined && before !== searchKey) this.#forgetSearches(key, before);
    this.#searchKeys.set(key, searchKey);
    return searchKey;
  }

  #forgetSearches(key: string, searchKey: string): void {
    this.#parts.searches.forget(searchKey);
    this.#parts.searches.forget(moveKey(searchKey));
    this.#parts.onForget(key);
  }

  #forget(key: string): void {
    const searchKey = this.#searchKeys.get(key);
    if (searchKey !== undefined) this.#forgetSearches(key, searchKey);
    this.#searchKeys.delete(key);
    this.#applyErrors.delete(key);
    this.#written.forget(key);
  }
}

/** The search for a move is beside the one for the plan that runs. */
function moveKey(searchKey: string): string {
  return `${searchKey}/move`;
}

/**
 * Whether a plan may be in the job's ConfigMap that is not in memory, and is to be followed: the status tells of a plan before that is
 * written, and of none once it is given up. A job that has ended follows none.
 */
function mayHavePlan(resource: TrainingJobResource, search: SearchState): boolean {
  return search.kind === 'none' && resource.status?.iteration !== undefined && endOf(resource) === undefined;
}

/** A plan that somebody damaged, or that a newer controller wrote, is as none: another is made. */
function readablePlan(text: string): Plan | undefined {
  try {
    return decodePlan(text);
  } catch (error) {
    if (error instanceof FileError) return undefined;
    throw error;
  }
}

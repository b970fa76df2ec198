import { isDeepStrictEqual } from 'node:util';
import type { V1Node, V1Pod } from '@kubernetes/client-node';
import { decodePlan } from '../soap/strategy/plan-file.ts';
import type { TrainingJobResource } from './api/resource.ts';
import type { ClusterClient } from './apply/cluster-client.ts';
import { apiMessage } from './apply/cluster-client.ts';
import type { Decision } from './decide/decide.ts';
import { decide } from './decide/decide.ts';
import type { ClusterObjects } from './discovery/discover.ts';
import type { Searches } from './planning/searches.ts';
import { readModelFile } from './planning/model-file.ts';
import type { VisitResult } from './watch/work-queue.ts';

/** What the reconciler reads and acts through. */
export interface ReconcilerParts {
  readonly client: ClusterClient;
  readonly searches: Searches;
  readonly image: string;
  readonly hostPathModels: boolean;
  job(namespace: string, name: string): TrainingJobResource | undefined;
  nodes(): readonly V1Node[];
  pods(): readonly V1Pod[];
  /** What else tells of devices. */
  objects(): ClusterObjects;
  /** Asks for another visit. */
  revisit(key: string): void;
}

/** After children could not be created. */
const RETRY_APPLY_MS = 5000;

/** One visit to a job: read, decide, apply, one status write, events after it. */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  /** By job key: uid and generation whose search is known. */
  readonly #searchKeys = new Map<string, string>();
  readonly #applyErrors = new Map<string, string>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  async visit(key: string): Promise<VisitResult> {
    const [namespace = '', name = ''] = key.split('/');
    const resource = this.#parts.job(namespace, name);
    if (resource === undefined || resource.metadata.deletionTimestamp !== undefined) {
      this.#forget(key);
      return {};
    }
    const { client, searches } = this.#parts;
    const searchKey = this.#searchKey(key, resource);
    const planText = await client.planText(resource);
    const decision = decide(
      {
        resource,
        nodes: this.#parts.nodes(),
        pods: this.#parts.pods(),
        objects: this.#parts.objects(),
        plan: planText === undefined ? undefined : decodePlan(planText),
        search: searches.state(searchKey),
        applyError: this.#applyErrors.get(key),
      },
      { now: new Date(), image: this.#parts.image },
    );
    const { startSearch } = decision;
    if (startSearch !== undefined) {
      const modelFile = (): Promise<Uint8Array | undefined> =>
        readModelFile(startSearch.job, namespace, client.core, this.#parts.hostPathModels);
      searches.start(
        searchKey,
        async () => ({ ...startSearch, modelFile: await modelFile() }),
        () => this.#parts.revisit(key),
      );
    }
    const applied = await this.#apply(key, resource, decision);
    await this.#writeStatus(resource, decision);
    return { requeueAfterMs: applied ? decision.requeueAfterMs : RETRY_APPLY_MS };
  }

  /** @returns whether everything could be applied; why not is told on the next visit */
  async #apply(key: string, resource: TrainingJobResource, decision: Decision): Promise<boolean> {
    const { client } = this.#parts;
    const { namespace = '' } = resource.metadata;
    try {
      for (const pod of decision.deletePods) await client.deletePod(namespace, pod);
      if (decision.needsToken) await client.ensureToken(resource);
      for (const child of decision.children) await client.apply(child);
      for (const pod of decision.pods) await client.createOnce(pod);
      this.#applyErrors.delete(key);
      return true;
    } catch (error) {
      this.#applyErrors.set(key, `an object of the job could not be created: ${apiMessage(error)}`);
      return false;
    }
  }

  async #writeStatus(resource: TrainingJobResource, { status, events }: Decision): Promise<void> {
    if (isDeepStrictEqual(resource.status, JSON.parse(JSON.stringify(status)))) return;
    await this.#parts.client.writeStatus(resource, status);
    for (const event of events) await this.#parts.client.recordEvent(resource, event);
  }

  /** A changed spec makes a new search; the old one ends. */
  #searchKey(key: string, { metadata }: TrainingJobResource): string {
    const searchKey = `${metadata.uid}/${metadata.generation}`;
    const before = this.#searchKeys.get(key);
    if (before !== undefined && before !== searchKey) this.#parts.searches.forget(before);
    this.#searchKeys.set(key, searchKey);
    return searchKey;
  }

  #forget(key: string): void {
    const searchKey = this.#searchKeys.get(key);
    if (searchKey !== undefined) this.#parts.searches.forget(searchKey);
    this.#searchKeys.delete(key);
    this.#applyErrors.delete(key);
  }
}

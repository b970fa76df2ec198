import { Worker } from 'node:worker_threads';
import { decodePlan } from '../../soap/strategy/plan-file.ts';
import type { SearchState } from '../decide/types.ts';
import type { SearchAnswer, SearchProgressMessage, SearchRequest } from './search-request.ts';

const WORKER = new URL('search-worker.ts', import.meta.url);

interface Search {
  readonly priority: Priority;
  state: SearchState;
  worker: Worker | undefined;
  /** Its job is gone or changed. */
  ended: boolean;
}

/** Background searches wait for all others: nothing stands still without them. */
export type Priority = 'foreground' | 'background';

/** Told how a search ended, how long it took, and how many proposals it tried. */
export type SearchObserver = (result: 'found' | 'failed', seconds: number, proposals: number) => void;

/** The searches of all jobs, by job uid and generation; each in a thread, at most so many at once. */
export class Searches {
  readonly #searches = new Map<string, Search>();
  /** By search, in the order of their turns. */
  readonly #waiting = new Map<Search, () => void>();
  readonly #limit: number;
  #running = 0;

  readonly #onEnd: SearchObserver;

  /** @param onEnd told of each search that ended by itself */
  constructor(limit: number, onEnd: SearchObserver = () => undefined) {
    this.#limit = limit;
    this.#onEnd = onEnd;
  }

  get running(): number {
    return this.#running;
  }

  /** Searches that wait for their turn. */
  get waiting(): number {
    return this.#waiting.size;
  }

  state(key: string): SearchState {
    return this.#searches.get(key)?.state ?? { kind: 'none' };
  }

  /** Starts a search, or queues it. `request` is made when its turn comes; `onEnd` is called once the state has changed. */
  start(
    key: string,
    request: () => Promise<SearchRequest>,
    onEnd: () => void,
    priority: Priority = 'foreground',
  ): void {
    if (this.#searches.has(key)) return;
    const search: Search = { priority, state: { kind: 'running' }, worker: undefined, ended: false };
    this.#searches.set(key, search);
    const begin = (): void => {
      this.#running += 1;
      const startMs = performance.now();
      void this.#run(search, request, onEnd).then((state) => {
        search.state = state;
        this.#running -= 1;
        this.#next();
        if (this.#searches.get(key) !== search) return;
        const found = state.kind === 'found';
        const proposals = found ? (state.plan.search?.proposals ?? 0) : 0;
        this.#onEnd(found ? 'found' : 'failed', (performance.now() - startMs) / 1000, proposals);
        onEnd();
      });
    };
    if (this.#running < this.#limit) begin();
    else this.#waiting.set(search, begin);
  }

  /** Ends a search whose job is gone or changed, and forgets it. */
  forget(key: string): void {
    const search = this.#searches.get(key);
    this.#searches.delete(key);
    if (search === undefined) return;
    search.ended = true;
    this.#waiting.delete(search);
    void search.worker?.terminate();
  }

  async stop(): Promise<void> {
    const workers = [...this.#searches.values()].flatMap(({ worker }) => (worker === undefined ? [] : [worker]));
    for (const search of this.#searches.values()) search.ended = true;
    this.#searches.clear();
    this.#waiting.clear();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  async #run(search: Search, request: () => Promise<SearchRequest>, onProgress: () => void): Promise<SearchState> {
    try {
      const answer = await this.#inThread(search, await request(), onProgress);
      if ('failure' in answer)
        return { kind: 'failed', message: answer.failure, infeasible: answer.infeasible ?? false };
      const { plan, currentIterationMs } = answer;
      return { kind: 'found', plan: decodePlan(plan), currentIterationMs };
    } catch (error) {
      return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
    }
  }

  #inThread(search: Search, request: SearchRequest, onProgress: () => void): Promise<SearchAnswer> {
    return new Promise((resolve, reject) => {
      // Its job may have gone while the model was read.
      if (search.ended) {
        reject(new Error('the search was ended'));
        return;
      }
      const worker = new Worker(WORKER, { workerData: request });
      search.worker = worker;
      worker.on('message', (message: SearchAnswer | SearchProgressMessage) => {
        if (!('progress' in message)) {
          resolve(message);
          return;
        }
        search.state = { kind: 'running', progress: message.progress };
        onProgress();
      });
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('the search was ended')));
    });
  }

  #next(): void {
    const waiting = [...this.#waiting];
    const first = waiting.find(([{ priority }]) => priority === 'foreground') ?? waiting[0];
    if (first === undefined) return;
    const [search, begin] = first;
    this.#waiting.delete(search);
    begin();
  }
}

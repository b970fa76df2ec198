import { Worker } from 'node:worker_threads';
import { decodePlan } from '../../soap/strategy/plan-file.ts';
import type { SearchState } from '../decide/types.ts';
import type { SearchAnswer, SearchRequest } from './search-request.ts';

const WORKER = new URL('search-worker.ts', import.meta.url);

interface Search {
  state: SearchState;
  worker: Worker | undefined;
}

/** The searches of all jobs, by job uid and generation; each in a thread, at most so many at once. */
export class Searches {
  readonly #searches = new Map<string, Search>();
  readonly #waiting: (() => void)[] = [];
  readonly #limit: number;
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get running(): number {
    return this.#running;
  }

  state(key: string): SearchState {
    return this.#searches.get(key)?.state ?? { kind: 'none' };
  }

  /** Starts a search, or queues it. `request` is made when its turn comes; `onEnd` is called once the state has changed. */
  start(key: string, request: () => Promise<SearchRequest>, onEnd: () => void): void {
    if (this.#searches.has(key)) return;
    const search: Search = { state: { kind: 'running' }, worker: undefined };
    this.#searches.set(key, search);
    const begin = (): void => {
      if (this.#searches.get(key) !== search) {
        this.#next();
        return;
      }
      this.#running += 1;
      void this.#run(search, request).then((state) => {
        search.state = state;
        this.#running -= 1;
        this.#next();
        if (this.#searches.get(key) === search) onEnd();
      });
    };
    if (this.#running < this.#limit) begin();
    else this.#waiting.push(begin);
  }

  /** Ends a search whose job is gone or changed, and forgets it. */
  forget(key: string): void {
    const search = this.#searches.get(key);
    this.#searches.delete(key);
    void search?.worker?.terminate();
  }

  async stop(): Promise<void> {
    const workers = [...this.#searches.values()].flatMap(({ worker }) => (worker === undefined ? [] : [worker]));
    this.#searches.clear();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  async #run(search: Search, request: () => Promise<SearchRequest>): Promise<SearchState> {
    try {
      const answer = await this.#inThread(search, await request());
      if ('failure' in answer)
        return { kind: 'failed', message: answer.failure, infeasible: answer.infeasible ?? false };
      return { kind: 'found', plan: decodePlan(answer.plan) };
    } catch (error) {
      return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
    }
  }

  #inThread(search: Search, request: SearchRequest): Promise<SearchAnswer> {
    return new Promise((resolve, reject) => {
      const worker = new Worker(WORKER, { workerData: request });
      search.worker = worker;
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('the search was ended')));
    });
  }

  #next(): void {
    this.#waiting.shift()?.();
  }
}

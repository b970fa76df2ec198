import type { Worker } from 'node:worker_threads';
import { FetchError } from '../../soap/fetch/fetch.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import type { SearchState } from '../decide/types.ts';
import type { SearchReport } from './search-records.ts';
import type { SearchAnswer, SearchProgressMessage, SearchRequest } from './search-request.ts';
import { isOutOfMemory, SearchThreads } from './search-threads.ts';
import { threadMegabytes } from './thread-memory.ts';
import { messageOf } from '../../soap/message-of.ts';

/** A model that is not there is asked for again after so long at first, then after twice as long each time, up to the other. */
const [FIRST_RETRY_MS, MAX_RETRY_MS] = [5000, 30_000];

/** Each telling is a write of the job's status. */
const TELL_EVERY_MS = 10_000;

interface Search {
  readonly lane: Lane;
  /** How often the files of the job were asked for, this time included. */
  readonly tries: number;
  state: SearchState;
  worker: Worker | undefined;
  /** When it was handed to a thread, by `performance.now()`; never of a check. */
  beganMs: number | undefined;
  /** Its job is gone or changed. */
  ended: boolean;
}

/** Searches that wait for each other, and for nothing else. */
interface Lane {
  readonly limit: number;
  running: number;
  /** By search, in the order of their turns. */
  readonly waiting: Map<Search, () => void>;
}

/** Checks whose files are read at once. */
const READ_AT_ONCE = 8;

/**
 * A check of a plan that the job gives takes milliseconds: it does not wait for searches, which take minutes. Searches for
 * moves, one at a time, take no turn from them: nothing stands still without a move.
 */
export type SearchKind = 'check' | 'search' | 'move';

/** Told how a search or check ended for good, and how long a search took; undefined where none was begun. */
export type SearchObserver = (result: 'found' | 'failed', seconds: number | undefined) => void;

/** Told how far a search is, and at its end how it went. */
type ProgressObserver = (report: SearchReport) => void;

/** The searches of all jobs, by job uid and generation; each in a thread, at most so many at once. */
export class Searches {
  readonly #searches = new Map<string, Search>();
  readonly #lanes: Readonly<Record<SearchKind, Lane>>;
  readonly #threads: SearchThreads;
  readonly #heapMegabytes: number;
  /** What the next check comes after. */
  #lastCheck: Promise<unknown> = Promise.resolve();
  readonly #onEnd: SearchObserver;

  /**
   * @param onEnd told of each search that ended by itself, and is not to be tried again
   * @param heapMegabytes that a search's heap may take, in 2^20 bytes: one that needs more fails alone
   */
  constructor(limit: number, onEnd: SearchObserver = () => undefined, heapMegabytes: number = threadMegabytes(limit)) {
    this.#heapMegabytes = heapMegabytes;
    this.#threads = new SearchThreads(heapMegabytes);
    const lane = (laneLimit: number): Lane => ({ limit: laneLimit, running: 0, waiting: new Map() });
    this.#lanes = { search: lane(limit), move: lane(1), check: lane(READ_AT_ONCE) };
    this.#onEnd = onEnd;
  }

  get running(): number {
    return Object.values(this.#lanes).reduce((sum, { running }) => sum + running, 0);
  }

  /** Searches that wait for their turn. */
  get waiting(): number {
    return Object.values(this.#lanes).reduce((sum, { waiting }) => sum + waiting.size, 0);
  }

  state(key: string): SearchState {
    return this.#searches.get(key)?.state ?? { kind: 'none' };
  }

  /**
   * Starts a search, or queues it; one that failed for now is started again. `request` is made when its turn comes; `onEnd` is called
   * once the state has changed, or there is progress to tell.
   */
  start(
    key: string,
    request: () => Promise<SearchRequest>,
    onEnd: () => void,
    kind: SearchKind = 'search',
    onProgress: ProgressObserver = () => undefined,
  ): void {
    const before = this.#searches.get(key);
    if (before !== undefined && !mayBeRetried(before.state)) return;
    const lane = this.#lanes[kind];
    const tries = 1 + (before?.tries ?? 0);
    const unread = tries > 1;
    const search: Search = {
      lane,
      tries,
      state: { kind: 'running', unread },
      worker: undefined,
      beganMs: undefined,
      ended: false,
    };
    this.#searches.set(key, search);
    const read = async (): Promise<SearchRequest> => {
      const made = await request();
      search.state = { kind: 'running' };
      if (unread && !search.ended) onEnd();
      return made;
    };
    const begin = (): void => {
      lane.running += 1;
      void this.#run(search, read, seldom(onEnd), onProgress).then((state) => {
        search.state = state;
        lane.running -= 1;
        next(lane);
        if (this.#searches.get(key) !== search) return;
        if (state.kind === 'found') reportEnd(state.plan, onProgress);
        this.#tellEnd(search);
        onEnd();
      });
    };
    if (lane.running < lane.limit) begin();
    else lane.waiting.set(search, begin);
  }

  /** Ends a search whose job is gone or changed, and forgets it. */
  forget(key: string): void {
    const search = this.#searches.get(key);
    this.#searches.delete(key);
    if (search === undefined) return;
    search.ended = true;
    search.lane.waiting.delete(search);
    void search.worker?.terminate();
  }

  /** Ends all searches, and forgets what they found. */
  forgetAll(): void {
    for (const key of this.#searches.keys()) this.forget(key);
  }

  async stop(): Promise<void> {
    const workers = [...this.#searches.values()].flatMap(({ worker }) => (worker === undefined ? [] : [worker]));
    for (const search of this.#searches.values()) search.ended = true;
    this.#searches.clear();
    for (const { waiting } of Object.values(this.#lanes)) waiting.clear();
    await Promise.all([...workers.map((worker) => worker.terminate()), this.#threads.stop()]);
  }

  /** A model that is not there yet ends no search: it is looked for again. */
  #tellEnd({ state, beganMs }: Search): void {
    if (mayBeRetried(state)) return;
    const seconds = beganMs === undefined ? undefined : (performance.now() - beganMs) / 1000;
    this.#onEnd(state.kind === 'found' ? 'found' : 'failed', seconds);
  }

  async #run(
    search: Search,
    request: () => Promise<SearchRequest>,
    onState: () => void,
    onProgress: ProgressObserver,
  ): Promise<SearchState> {
    try {
      const made = await request();
      const run = (): Promise<SearchAnswer> => this.#inThread(search, made, onState, onProgress);
      const answer = await (search.lane === this.#lanes.check ? this.#afterLastCheck(run) : run());
      if ('failure' in answer)
        return { kind: 'failed', message: answer.failure, infeasible: answer.infeasible ?? false };
      const { plan, currentIterationMs } = answer;
      return { kind: 'found', plan: decodePlan(plan), currentIterationMs };
    } catch (error) {
      const message = isOutOfMemory(error) ? this.#outOfMemory(search) : messageOf(error);
      const passing = error instanceof FetchError && error.passing;
      return { kind: 'failed', message, ...(passing && { retryAtMs: Date.now() + retryMs(search) }) };
    }
  }

  #outOfMemory({ lane }: Search): string {
    const what = lane === this.#lanes.check ? 'the check of the plan' : 'the search for a plan';
    return (
      `${what} needs more memory than its thread may take, ${this.#heapMegabytes} MB: use a model of fewer or smaller ops, or ` +
      "lower spec.devices.max; or raise the controller's memory limit, or its setting searchMegabytes"
    );
  }

  /** Checks share a thread: most of their time goes by while their files are read. */
  #afterLastCheck(run: () => Promise<SearchAnswer>): Promise<SearchAnswer> {
    const answer = this.#lastCheck.then(run);
    this.#lastCheck = answer.catch(() => undefined);
    return answer;
  }

  #inThread(
    search: Search,
    request: SearchRequest,
    onState: () => void,
    onProgress: ProgressObserver,
  ): Promise<SearchAnswer> {
    return new Promise((resolve, reject) => {
      // Its job may have gone while the model was read.
      if (search.ended) {
        reject(new Error('the search was ended'));
        return;
      }
      const worker = this.#threads.take();
      search.worker = worker;
      if (search.lane !== this.#lanes.check) search.beganMs = performance.now();
      worker.on('message', (message: SearchAnswer | SearchProgressMessage) => {
        if ('progress' in message) {
          // A thread that is being ended may have told of it before.
          if (search.ended) return;
          search.state = { kind: 'running', progress: message.progress };
          onProgress(message.progress);
          onState();
          return;
        }
        search.worker = undefined;
        this.#threads.giveBack(worker);
        resolve(message);
      });
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('the search was ended')));
      worker.postMessage(request, movable(request));
    });
  }
}

function mayBeRetried(state: SearchState): boolean {
  return state.kind === 'failed' && state.retryAtMs !== undefined;
}

function retryMs({ tries }: Search): number {
  return Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (tries - 1));
}

function next({ waiting }: Lane): void {
  const [first] = waiting;
  if (first === undefined) return;
  const [search, begin] = first;
  waiting.delete(search);
  begin();
}

/** A model's file is moved to the thread, not copied, where nobody else can have a part of its memory. */
function movable({ modelFile }: SearchRequest): ArrayBuffer[] {
  const buffer = modelFile?.buffer;
  return buffer instanceof ArrayBuffer && buffer.byteLength === modelFile?.byteLength ? [buffer] : [];
}

/** Calls on, at most once in {@link TELL_EVERY_MS}, and not before. */
function seldom(call: () => void): () => void {
  let calledMs = performance.now();
  return () => {
    if (performance.now() - calledMs < TELL_EVERY_MS) return;
    calledMs = performance.now();
    call();
  };
}

function reportEnd({ search, prediction }: Plan, onProgress: ProgressObserver): void {
  if (search === undefined) return;
  const { proposals, accepted } = search;
  onProgress({ proposals, accepted, iterationMs: prediction.iterationMs });
}

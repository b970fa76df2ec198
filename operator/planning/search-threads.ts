import { Worker } from 'node:worker_threads';

const PROGRAM = new URL('search-worker.ts', import.meta.url);

/** Nobody needs a thread's memory for longer after its last search. */
const KEEP_IDLE_MS = 30_000;

/**
 * Threads of the search program. One that is free is kept for the next request for a while: to start one takes a hundred times as
 * long as to check a plan that a job gives.
 */
export class SearchThreads {
  /** With the timer of each one's end. */
  readonly #idle = new Map<Worker, NodeJS.Timeout>();
  readonly #heapMegabytes: number;

  /** @param heapMegabytes at most, in 2^20 bytes: a thread that needs more ends alone, by an error that {@link isOutOfMemory} knows */
  constructor(heapMegabytes: number) {
    this.#heapMegabytes = heapMegabytes;
  }

  /** A thread that waits for a request; the caller has it until `giveBack`, or until it ends it. */
  take(): Worker {
    const [first] = this.#idle;
    if (first === undefined)
      return new Worker(PROGRAM, { resourceLimits: { maxOldGenerationSizeMb: this.#heapMegabytes } });
    const [worker, timer] = first;
    clearTimeout(timer);
    this.#idle.delete(worker);
    forgetListeners(worker);
    return worker;
  }

  /** @param worker that has answered */
  giveBack(worker: Worker): void {
    forgetListeners(worker);
    const end = (): void => {
      clearTimeout(this.#idle.get(worker));
      this.#idle.delete(worker);
      void worker.terminate();
    };
    this.#idle.set(worker, setTimeout(end, KEEP_IDLE_MS));
    worker.once('error', end).once('exit', end);
  }

  /** Ends those that are free. */
  async stop(): Promise<void> {
    const workers = [...this.#idle];
    this.#idle.clear();
    for (const [, timer] of workers) clearTimeout(timer);
    await Promise.all(workers.map(([worker]) => worker.terminate()));
  }
}

/** Whether a thread ended because its heap was full. Source: Node's documentation of `worker.resourceLimits`. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
}

/** By name: a worker has listeners of its own too, without which it brings no more messages. */
function forgetListeners(worker: Worker): void {
  for (const name of ['message', 'error', 'exit']) worker.removeAllListeners(name);
}

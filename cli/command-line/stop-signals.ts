import { constants } from 'node:os';
import process from 'node:process';

const NAMES = ['SIGINT', 'SIGTERM'] as const;

/** Ctrl-C and SIGTERM during a run: the first asks for a good end, the second for one at once. */
export class StopSignals {
  readonly #stop = new AbortController();
  readonly #abort = new AbortController();
  readonly #onFirst: () => void;
  #exitCode: number | undefined;
  readonly #hear = (name: (typeof NAMES)[number]): void => {
    this.#exitCode = 128 + constants.signals[name];
    if (this.#stop.signal.aborted) return this.#abort.abort();
    this.#onFirst();
    this.#stop.abort();
  };

  /** @param onFirst called with the first signal */
  constructor(onFirst: () => void) {
    this.#onFirst = onFirst;
    for (const name of NAMES) process.on(name, this.#hear);
  }

  /** Aborted by the first signal. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** Aborted by the second. */
  get abort(): AbortSignal {
    return this.#abort.signal;
  }

  /**
   * 128 and the number of the last signal, as a shell has it: 130 after Ctrl-C, 143 after SIGTERM; the latter too where another
   * machine of the job was told to stop.
   */
  get exitCode(): number {
    return this.#exitCode ?? 128 + constants.signals.SIGTERM;
  }

  close(): void {
    for (const name of NAMES) process.off(name, this.#hear);
  }
}

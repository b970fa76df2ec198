import type { WriteStream } from 'node:tty';
import { duration } from './format.ts';

const BAR_WIDTH = 24;
/** A person sees no faster. */
const TERMINAL_INTERVAL_MS = 100;
/** Work this long tells how long the rest will take. */
const FORESIGHT_MS = 500;
/** A log wants fewer lines. */
const LOG_INTERVAL_MS = 5000;

/**
 * Progress of long work: a bar that redraws itself on a terminal, a line now and then elsewhere. On standard error, so that
 * standard output carries results only.
 */
export class Progress {
  readonly #label: string;
  readonly #stream: Pick<WriteStream, 'write'> & { readonly isTTY?: boolean };
  readonly #startMs = performance.now();
  #shownMs = Number.NEGATIVE_INFINITY;

  constructor(label: string, stream: Pick<WriteStream, 'write'> & { readonly isTTY?: boolean }) {
    this.#label = label;
    this.#stream = stream;
  }

  /** @param share of the work that is done, 0 to 1 */
  update(share: number, details: string): void {
    const nowMs = performance.now();
    const intervalMs = this.#stream.isTTY === true ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS;
    if (nowMs - this.#shownMs < intervalMs) return;
    this.#shownMs = nowMs;
    const elapsedMs = nowMs - this.#startMs;
    const known = elapsedMs >= FORESIGHT_MS && share > 0.01 && share < 1;
    const left = known ? `, ${duration((elapsedMs * (1 - share)) / share)} to go` : '';
    this.#show(share, `${details}${left}`);
  }

  /** Shows the last state and ends the line. */
  finish(details: string): void {
    this.#show(1, `${details}, ${duration(performance.now() - this.#startMs)}`);
    if (this.#stream.isTTY === true) this.#stream.write('\n');
  }

  #show(share: number, details: string): void {
    const percent = `${Math.floor(share * 100)}%`.padStart(4);
    if (this.#stream.isTTY === true) {
      const full = Math.round(Math.min(1, share) * BAR_WIDTH);
      const bar = '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full);
      this.#stream.write(`\r\u001B[2K${this.#label} ${bar} ${percent}  ${details}`);
    } else this.#stream.write(`${this.#label} ${percent}  ${details}\n`);
  }
}

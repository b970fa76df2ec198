import process from 'node:process';
import type { WriteStream } from 'node:tty';
import { duration } from './format.ts';

/** Characters of the bar, and the fewest that leave it one: beside a long text it is shorter, or gives way to it. */
const [BAR_WIDTH, LEAST_BAR_WIDTH] = [24, 8];
/** A person sees no faster. */
const TERMINAL_INTERVAL_MS = 100;
/** Work this long tells how long the rest will take, if there is a hundredth of it; or this long, whatever there is of it. */
const [FORESIGHT_MS, LONG_FORESIGHT_MS] = [500, 10_000];
/** A log wants fewer lines. */
const LOG_INTERVAL_MS = 5000;

/** Columns of a terminal that does not say how wide it is, or says 0, as one whose size was never set does. */
const USUAL_COLUMNS = 80;

/** Back to the start of the line, and nothing left on it. Source: ECMA-48, "erase in line". */
const CLEAR_LINE = '\r\u001B[2K';

/** Where progress goes: a terminal knows that it is one, and how wide. */
export type ProgressStream = Pick<WriteStream, 'write'> & { readonly isTTY?: boolean; readonly columns?: number };

/**
 * Progress of long work: a bar that redraws itself on a terminal, a line now and then elsewhere. On standard error, so that
 * standard output carries results only; without colour, which would tell nothing.
 */
export class Progress {
  readonly #label: string;
  readonly #stream: ProgressStream;
  /** Whether lines can be drawn anew. */
  readonly #redraws: boolean;
  readonly #startMs = performance.now();
  #shownMs = Number.NEGATIVE_INFINITY;
  /** Whether the cursor is behind a bar. */
  #isOpen = false;

  /** @param terminal the kind of terminal, as TERM has it */
  constructor(label: string, stream: ProgressStream, terminal: string | undefined = process.env['TERM']) {
    this.#label = label;
    this.#stream = stream;
    this.#redraws = stream.isTTY === true && terminal !== 'dumb';
  }

  /** @param share of the work that is done, 0 to 1 */
  update(share: number, details: string): void {
    const nowMs = performance.now();
    const intervalMs = this.#redraws ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS;
    if (nowMs - this.#shownMs < intervalMs) return;
    this.#shownMs = nowMs;
    const elapsedMs = nowMs - this.#startMs;
    const known = elapsedMs >= FORESIGHT_MS && (share > 0.01 || elapsedMs >= LONG_FORESIGHT_MS);
    const left = known && share > 0 && share < 1 ? `, ${duration((elapsedMs * (1 - share)) / share)} to go` : '';
    this.#show(share, `${details}${left}`);
  }

  /** Says something else, on a line of its own. */
  note(line: string): void {
    this.#stream.write(`${this.#isOpen ? CLEAR_LINE : ''}${line}\n`);
    this.#isOpen = false;
  }

  /** Shows the last state and ends the line. */
  finish(details: string): void {
    this.#show(1, `${details}, ${duration(performance.now() - this.#startMs)}`);
    this.close();
  }

  /** Leaves the cursor on a line of its own, however the work ended. */
  close(): void {
    if (this.#isOpen) this.#stream.write('\n');
    this.#isOpen = false;
  }

  #show(share: number, details: string): void {
    const percent = `${Math.floor(share * 100)}%`.padStart(4);
    if (this.#redraws) {
      // A line that wraps could not be cleared.
      const room = (this.#stream.columns || USUAL_COLUMNS) - 1;
      this.#stream.write(`${CLEAR_LINE}${fittingLine({ label: this.#label, percent, details }, share, room)}`);
      this.#isOpen = true;
    } else this.#stream.write(`${this.#label} ${percent}  ${details}\n`);
  }
}

/** A line with as much before the details as leaves these room: what says least goes first. */
function fittingLine(
  { label, percent, details }: { readonly label: string; readonly percent: string; readonly details: string },
  share: number,
  room: number,
): string {
  const plain = `${label} ${percent}  ${details}`;
  const width = Math.min(BAR_WIDTH, room - plain.length - 1);
  if (width >= LEAST_BAR_WIDTH) {
    const full = Math.round(Math.min(1, share) * width);
    return `${label} ${'█'.repeat(full)}${'░'.repeat(width - full)} ${percent}  ${details}`;
  }
  const lines = [plain, `${percent.trim()}  ${details}`];
  return lines.find((line) => line.length <= room) ?? details.slice(0, room);
}

import { readFileSync } from 'node:fs';

/** Beats of silence, after which a peer that has said it is ready is taken for stopped. */
const SILENT_BEATS = 12;
/** The same, in lengths of the longest silence that it has come back from. */
const LONGEST_SILENCES = 4;
/** Beats that no peer may be silent for longer than. */
const MAX_SILENT_BEATS = 120;
/** What remains of the longest silence from a beat to the next: half of it after a minute, with four beats a second. */
const KEPT_A_BEAT: number = 0.5 ** (1 / 240);

/**
 * Beats in which a peer of this machine was not once seen at work, until it is taken to rest: one that computes waits now and then for a
 * moment, as for the threads that collect its garbage.
 */
const RESTING_BEATS = 4;

export interface SilenceOptions {
  /** Beats that a peer may be silent before it is ready. */
  readonly startBeats: number;
  /** Whether the peer is known to be at work, since it is a process of this machine. */
  readonly isAtWork: () => boolean;
}

/**
 * Tells a peer that is busy from one that is stopped or cut off, beat by beat. On a machine that is busy with other things whoever
 * answers late answers late again, so a peer is given a multiple of the silences that it came back from, as an accrual failure
 * detector does; one of this machine is given time as long as the system says that it works.
 * Beats and not time: those that this thread itself slept through do not count.
 * Source: N. Hayashibara et al., The phi accrual failure detector, SRDS 2004.
 */
export class Silence {
  readonly #options: SilenceOptions;
  #beats = 0;
  #longest = 0;
  #resting = 0;
  #isReady = false;

  constructor(options: SilenceOptions) {
    this.#options = options;
  }

  /** Something came from the peer. */
  heard(): void {
    // What it was at before it was ready says nothing about after.
    if (this.#isReady) this.#longest = Math.max(this.#longest, this.#beats);
    this.#beats = 0;
    this.#resting = 0;
  }

  /** The peer answers from now on. */
  ready(): void {
    this.#isReady = true;
  }

  /** Called at each beat. Returns for how many beats the peer has been silent, where that is too long; else undefined. */
  beat(): number | undefined {
    this.#beats += 1;
    this.#longest *= KEPT_A_BEAT;
    const { startBeats, isAtWork } = this.#options;
    const usual = Math.max(SILENT_BEATS, LONGEST_SILENCES * this.#longest, this.#isReady ? 0 : startBeats);
    const most = Math.max(MAX_SILENT_BEATS, this.#isReady ? 0 : startBeats);
    const limit = Math.min(usual, most);
    if (this.#beats > limit - RESTING_BEATS) this.#resting = isAtWork() ? 0 : this.#resting + 1;
    if (this.#beats <= limit) return undefined;
    return this.#beats <= most && this.#resting < RESTING_BEATS ? undefined : this.#beats;
  }
}

/**
 * Whether the first thread of a process runs, or waits for a core or a disk: not if the process is stopped, or gone, or waits for
 * something to come. Source: proc(5), field 3 of /proc/pid/stat.
 */
export function isAtWork(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return /^[RD]/.test(text.slice(text.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

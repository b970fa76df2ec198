import type { CpuTimes } from './cpu-times.ts';
import { cpuSince, cpuTimes } from './cpu-times.ts';

/**
 * What a device spends time on: `step` one iteration, `load` its batch, `wait` for what a segment or update reads, `segment` and
 * `update` their kernels, `finish` the start of what they send, `send`, `collective` and `gather` the way of data to others.
 */
export type SpanKind = 'step' | 'load' | 'wait' | 'segment' | 'update' | 'finish' | 'send' | 'collective' | 'gather';

/** A stretch of time of one device. */
export interface Span {
  readonly kind: SpanKind;
  /** Training step, from 0. */
  readonly step: number;
  /** Ids of the tasks it is about, in the order in which they run. */
  readonly tasks: readonly number[];
  /** Milliseconds since the epoch, from a monotonic clock: comparable between the processes of a machine. */
  readonly startMs: number;
  readonly endMs: number;
  /**
   * Of `segment` and `update`: CPU time of the threads that run kernels; of `finish`: of the one that sends. Unlike the length of the
   * span it has no time in which other devices had the core. Absent in recordings of older versions, and of other kinds.
   */
  readonly cpuMs?: number;
}

/** Which steps are recorded, counted from the first that the run trains. */
export interface RecordedSteps {
  readonly skip: number;
  readonly count: number;
}

/** Steps of a run that its trace shows: after those that compile and warm up. */
export const RECORDED_STEPS: RecordedSteps = { skip: 5, count: 10 };

/** Keeps the spans of some steps of a device. Others cost nothing but a comparison. */
export class Recorder {
  readonly #steps: RecordedSteps;
  #begun = 0;
  #step = 0;
  #spans: Span[] = [];

  constructor(steps: RecordedSteps) {
    this.#steps = steps;
  }

  /** Begins a step, which the spans that follow belong to. */
  begin(step: number): void {
    this.#begun += 1;
    this.#step = step;
  }

  /** Whether the last of the steps to be recorded has begun. */
  get isLast(): boolean {
    return this.#begun === this.#steps.skip + this.#steps.count;
  }

  /** CPU times now, for {@link record}; undefined where the step is not recorded. */
  cpuTimes(): CpuTimes | undefined {
    return this.#isRecording ? cpuTimes() : undefined;
  }

  /**
   * Adds a stretch that began at a moment of `performance.now()` and ends now.
   * @param since CPU times at its beginning, where what its threads compute is to be told
   */
  record(kind: SpanKind, tasks: readonly number[], startMs: number, since?: CpuTimes): void {
    if (!this.#isRecording) return;
    const originMs = performance.timeOrigin;
    const endMs = originMs + performance.now();
    const cpu = since && { cpuMs: cpuSince(since, kind === 'finish' ? 'here' : 'elsewhere') };
    this.#spans.push({ kind, step: this.#step, tasks, startMs: originMs + startMs, endMs, ...cpu });
  }

  get #isRecording(): boolean {
    const { skip, count } = this.#steps;
    return this.#begun > skip && this.#begun <= skip + count;
  }

  /** Takes what was recorded since it was last taken. */
  take(): Span[] {
    const spans = this.#spans;
    this.#spans = [];
    return spans;
  }
}

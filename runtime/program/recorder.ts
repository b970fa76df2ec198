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

  /** Adds a stretch that began at a moment of `performance.now()` and ends now. */
  record(kind: SpanKind, tasks: readonly number[], startMs: number): void {
    const { skip, count } = this.#steps;
    if (this.#begun <= skip || this.#begun > skip + count) return;
    const originMs = performance.timeOrigin;
    const endMs = originMs + performance.now();
    this.#spans.push({ kind, step: this.#step, tasks, startMs: originMs + startMs, endMs });
  }

  /** Takes what was recorded since it was last taken. */
  take(): Span[] {
    const spans = this.#spans;
    this.#spans = [];
    return spans;
  }
}

import process from 'node:process';

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
   * Of `segment`, `update` and `finish`: CPU time of the device's process meanwhile. Unlike the length of the span it has no time in
   * which other devices had the core. Absent in recordings of older versions.
   */
  readonly cpuMs?: number;
}

/** Which steps are recorded, counted from the first that the run trains. */
export interface RecordedSteps {
  readonly skip: number;
  readonly count: number;
  /** How many of the last of these are kept; all where left out. */
  readonly keeps?: number;
}

/** Steps of a run that its trace shows: after those that compile and warm up. */
export const RECORDED_STEPS: RecordedSteps = { skip: 5, count: 10 };

/** Keeps the spans of some steps of a device. Others cost nothing but a comparison. */
export class Recorder {
  readonly #steps: RecordedSteps;
  #begun = 0;
  #step = 0;
  /** By step, those of the newest last. */
  #spans: Span[][] = [[]];

  constructor(steps: RecordedSteps) {
    this.#steps = steps;
  }

  /** Begins a step, which the spans that follow belong to. */
  begin(step: number): void {
    this.#begun += 1;
    this.#step = step;
    if (!this.#isRecording) return;
    this.#spans.push([]);
    if (this.#spans.length > (this.#steps.keeps ?? Infinity)) this.#spans.shift();
  }

  /** Whether the last of the steps to be recorded has begun. */
  get isLast(): boolean {
    return this.#begun === this.#steps.skip + this.#steps.count;
  }

  /** CPU time of this process so far, for {@link record}; undefined where the step is not recorded. Takes half a microsecond. */
  cpuMs(): number | undefined {
    return this.#isRecording ? cpuMs() : undefined;
  }

  /**
   * Adds a stretch that began at a moment of `performance.now()` and ends now.
   * @param sinceCpuMs CPU time at its beginning, where that of the stretch is to be told
   */
  record(kind: SpanKind, tasks: readonly number[], startMs: number, sinceCpuMs?: number): void {
    if (!this.#isRecording) return;
    const originMs = performance.timeOrigin;
    const endMs = originMs + performance.now();
    const cpu = sinceCpuMs === undefined ? {} : { cpuMs: cpuMs() - sinceCpuMs };
    this.#spans.at(-1)!.push({ kind, step: this.#step, tasks, startMs: originMs + startMs, endMs, ...cpu });
  }

  get #isRecording(): boolean {
    const { skip, count } = this.#steps;
    return this.#begun > skip && this.#begun <= skip + count;
  }

  /** Takes what was recorded since it was last taken. */
  take(): Span[] {
    const spans = this.#spans.flat();
    this.#spans = [[]];
    return spans;
  }
}

/**
 * Exact where the threads beside the one that asks sleep, as those of kernels do before a kernel and after it. The scheduler updates that of
 * a single thread with its ticks only. Source: `thread_group_cputime` of Linux's kernel/sched/cputime.c.
 */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

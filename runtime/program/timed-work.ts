import type { BoundKernel, KernelEngine, TensorBuffer } from '../kernels/kernels.ts';
import type { Action } from './actions.ts';
import { KernelRunner } from './kernel-runner.ts';
import type { OpClock } from './op-clock.ts';
import type { Recorder, SpanKind } from './recorder.ts';

/** Seconds a device spent since the start, in training passes. */
export interface DeviceTimes {
  computeSeconds: number;
  waitSeconds: number;
}

/** Who hears of the times. */
export interface TimeListeners {
  readonly recorder?: Recorder | undefined;
  /** Told what kernels of segments take in training passes. */
  readonly clock?: OpClock | undefined;
}

/** Runs kernels and waits, and keeps account of what either takes. */
export class TimedWork {
  readonly times: DeviceTimes = { computeSeconds: 0, waitSeconds: 0 };
  readonly #engine: KernelEngine;
  readonly #listeners: TimeListeners;
  readonly #runner = new KernelRunner();
  #counts = true;

  constructor(engine: KernelEngine, listeners: TimeListeners) {
    this.#engine = engine;
    this.#listeners = listeners;
  }

  /**
   * @param kernel undefined where there is nothing to compute
   * @param filled what the host wrote for the kernel, or for one after it
   * @param readOnHost what it writes for the host
   */
  async compute(
    kernel: BoundKernel | undefined,
    { kind, tasks }: Pick<Action, 'kind' | 'tasks'>,
    filled: readonly TensorBuffer[] = [],
    readOnHost: readonly TensorBuffer[] = [],
  ): Promise<void> {
    const [start, cpu] = [performance.now(), this.cpuMs()];
    if (filled.length > 0) await this.#engine.upload(filled);
    if (kernel !== undefined) await this.#runner.run(kernel);
    if (readOnHost.length > 0) await this.#engine.download(readOnHost);
    const seconds = (performance.now() - start) / 1000;
    this.times.computeSeconds += seconds;
    if (this.#counts && kind === 'segment') this.#listeners.clock?.add(tasks, seconds);
    this.record(kind, tasks, start, cpu);
    await this.#runner.makeWay();
  }

  /** Runs a kernel that is of no task, such as one that sums squares; its time is not accounted for. */
  async run(kernel: BoundKernel): Promise<void> {
    await this.#runner.run(kernel);
    await this.#runner.makeWay();
  }

  async wait(event: Promise<void>): Promise<void> {
    const start = performance.now();
    await event;
    this.times.waitSeconds += (performance.now() - start) / 1000;
  }

  /** For {@link record}; undefined where nothing is recorded. */
  cpuMs(): number | undefined {
    return this.#listeners.recorder?.cpuMs();
  }

  record(kind: SpanKind, tasks: readonly number[], startMs: number, sinceCpuMs?: number): void {
    this.#listeners.recorder?.record(kind, tasks, startMs, sinceCpuMs);
  }

  /** Does what is no training, so that its times do not count. */
  async uncounted(work: () => Promise<void>): Promise<void> {
    const trained = { ...this.times };
    this.#counts = false;
    await work();
    this.#counts = true;
    Object.assign(this.times, trained);
  }
}

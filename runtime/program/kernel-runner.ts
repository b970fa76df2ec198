import { setImmediate as nextTurn } from 'node:timers/promises';
import { isShortKernel, SHORT_KERNEL_US } from '../../soap/simulator/host/short-kernels.ts';
import type { BoundKernel } from '../kernels/kernels.ts';

const US_PER_MS = 1000;

/**
 * Runs kernels off the JavaScript thread, but for those that have once been short: they run on it, where the engine can. Which thread
 * runs a kernel changes no bit of its results.
 */
export class KernelRunner {
  readonly #leastUs = new WeakMap<BoundKernel, number>();
  /** How long short kernels have had the JavaScript thread since others could have it. */
  #keptUs = 0;
  readonly #nowMs: () => number;

  /** @param nowMs a clock that never goes back, milliseconds */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  async run(kernel: BoundKernel): Promise<void> {
    const startMs = this.#nowMs();
    const leastUs = this.#leastUs.get(kernel) ?? Infinity;
    if (kernel.runHere !== undefined && isShortKernel(leastUs)) {
      kernel.runHere();
      this.#keptUs += this.#usSince(startMs);
      return;
    }
    await kernel.run();
    this.#keptUs = 0;
    this.#leastUs.set(kernel, Math.min(leastUs, this.#usSince(startMs)));
  }

  /** Lets messages and timers have the thread, where short kernels one after the other have kept it as long as one of them may. */
  async makeWay(): Promise<void> {
    if (this.#keptUs < SHORT_KERNEL_US) return;
    await nextTurn();
    this.#keptUs = 0;
  }

  #usSince(startMs: number): number {
    return US_PER_MS * (this.#nowMs() - startMs);
  }
}

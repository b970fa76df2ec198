import type { BoundKernel, KernelEngine, TensorBuffer } from '../../kernels/kernels.ts';
import { squareSumCount, squareSums } from '../../optimizers/square-sums.ts';
import { floats } from '../assembly.ts';
import type { TermRun } from '../gradient-memory.ts';
import type { KernelCache } from '../kernel-cache.ts';
import type { ParameterStore } from '../parameter-store.ts';
import { sumStage } from '../segments/sum-stage.ts';
import { bufferRange } from './buffer-range.ts';

/** Sums of a gradient's squares; see {@link squareSums}. */
export interface ShardSquares {
  readonly kernels: readonly BoundKernel[];
  readonly sums: TensorBuffer;
}

/** Binds and adds up the squares of a device's gradients, for the norm of all. */
export class Squares {
  readonly #engine: KernelEngine;
  readonly #kernels: KernelCache;
  readonly #parameters: ParameterStore;
  /** Memory for a sum that is looked at before the next one: of the largest shard. */
  #scratch: TensorBuffer | undefined;

  constructor(engine: KernelEngine, kernels: KernelCache, parameters: ParameterStore) {
    this.#engine = engine;
    this.#kernels = kernels;
    this.#parameters = parameters;
  }

  /** @param length elements of the shard */
  bind(length: number, runs: readonly TermRun[]): ShardSquares {
    const sums = this.#engine.allocate('float32', squareSumCount(length));
    const whole = runs.every(({ terms }) => terms.length === 1);
    const gradient = whole ? runs[0]!.terms[0]! : bufferRange(this.#engine, this.#memory(), 0, length);
    const square = this.#kernels.get(squareSums(length)).bind({ gradient, output0: sums });
    return { kernels: whole ? [square] : [...this.#bindSum(runs, gradient), square], sums };
  }

  /** The sum of the squares of some shards, in order. */
  async sum(all: readonly ShardSquares[]): Promise<number> {
    const sums = all.map((squares) => squares.sums);
    await this.#engine.download(sums);
    let sum = 0;
    for (const { host } of sums) for (const value of floats(host)) sum += value;
    return sum;
  }

  /** Adds up the terms of a gradient. */
  #bindSum(runs: readonly TermRun[], sum: TensorBuffer): BoundKernel[] {
    return runs
      .filter(({ start, end }) => start < end)
      .map(({ start, end, terms }) => {
        const pieces = terms.map((term) => bufferRange(this.#engine, term, start, end));
        const { graph, memory } = sumStage([end - start], pieces, bufferRange(this.#engine, sum, start, end));
        return this.#kernels.get(graph).bind(memory);
      });
  }

  #memory(): TensorBuffer {
    const lengths = [...this.#parameters.states].map(({ weight }) => weight.length);
    return (this.#scratch ??= this.#engine.allocate('float32', Math.max(...lengths)));
  }
}

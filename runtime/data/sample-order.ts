import { createRandom, deriveSeed } from '../../soap/random.ts';
import { shuffled } from '../../soap/strategy/random.ts';

/** Says which rows each step trains on; the same on every device. */
export class SampleOrder {
  readonly #samples: number;
  readonly #batch: number;
  readonly #seed: number | undefined;
  #epoch = -1;
  #order: readonly number[] = [];

  /** @param seed of the shuffle; undefined keeps the order of the data set */
  constructor(samples: number, batch: number, seed: number | undefined) {
    this.#samples = samples;
    this.#batch = batch;
    this.#seed = seed;
  }

  /**
   * The rows of a step, counted from 0. Batches follow each other through the samples and on into the next epoch, which has
   * an order of its own: every sample is used equally often.
   */
  rows(step: number): number[] {
    return Array.from({ length: this.#batch }, (_, i) => {
      const position = step * this.#batch + i;
      return this.#row(Math.floor(position / this.#samples), position % this.#samples);
    });
  }

  #row(epoch: number, index: number): number {
    if (this.#seed === undefined) return index;
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#order = shuffled(this.#samples, createRandom(deriveSeed(this.#seed, epoch)));
    }
    return this.#order[index]!;
  }
}

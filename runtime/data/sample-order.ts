import { createRandom, deriveSeed, shuffle } from '../../soap/random.ts';

/** Rows of two epochs are asked for by turns: of a step that begins in one and ends in the next, and of the one after it that is read ahead. */
const EPOCHS_KEPT = 2;

/** Says which rows each step trains on; the same on every device. */
export class SampleOrder {
  readonly #samples: number;
  readonly #batch: number;
  readonly #seed: number | undefined;
  /** By epoch, the ones that were made last. Outside of the JavaScript heap, which the rows of a large data set would fill. */
  readonly #orders = new Map<number, Uint32Array>();

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
    const order = this.#orders.get(epoch) ?? this.#shuffled(epoch, this.#seed);
    return order[index]!;
  }

  #shuffled(epoch: number, seed: number): Uint32Array {
    const order = new Uint32Array(this.#samples);
    for (let i = 0; i < order.length; i++) order[i] = i;
    shuffle(order, createRandom(deriveSeed(seed, epoch)));
    this.#orders.set(epoch, order);
    const [oldest] = this.#orders.keys();
    if (this.#orders.size > EPOCHS_KEPT) this.#orders.delete(oldest!);
    return order;
  }
}

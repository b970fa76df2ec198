import { createRandom, deriveSeed } from '../../soap/random.ts';
import type { Region } from '../../soap/strategy/region.ts';
import { regionVolume, wholeRegion } from '../../soap/strategy/region.ts';
import { RegionPath } from '../program/regions.ts';
import type { Dataset, DatasetInput } from './dataset.ts';

/** Seed of the values; the same for every job, since they mean nothing. */
const SEED = 1;

/** Where the graph does not say which indices it can look up. */
const ANY_INDEX = { count: 2 };

/**
 * Samples of standard normal values, of indices that the graph can look up, and of targets that are 0 or 1 where the loss takes
 * probabilities, each drawn from its row's own seed.
 */
export function openSynthetic(samples: number, wanted: readonly DatasetInput[]): Dataset {
  return {
    samples,
    inputs: wanted,
    read(name, rows, region, target) {
      const index = wanted.findIndex((input) => input.name === name);
      const { shape: inner, indices = ANY_INDEX, isProbability = false } = wanted[index]!;
      const shape = [1, ...inner];
      const frame = wholeRegion(shape);
      const box: Region = [[0, 1], ...region];
      const path = new RegionPath(frame, box, box);
      const count = regionVolume(frame);
      const perRow = target.length / rows.length;
      rows.forEach((row, i) => {
        const random = createRandom(deriveSeed(SEED + row, index));
        const part = target.subarray(i * perRow, (i + 1) * perRow);
        const memory =
          part instanceof BigInt64Array
            ? BigInt64Array.from({ length: count }, () => BigInt(random.integer(indices.count)))
            : Float32Array.from({ length: count }, () => (isProbability ? random.integer(2) : random.normal()));
        path.copy(memory, part);
      });
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

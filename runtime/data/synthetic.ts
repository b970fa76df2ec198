import { createRandom, deriveSeed } from '../../soap/random.ts';
import type { Region } from '../../soap/region/region.ts';
import { wholeRegion } from '../../soap/region/region.ts';
import type { TensorMemory } from '../kernels/kernels.ts';
import { RegionPath } from '../kernels/regions.ts';
import type { Dataset, DatasetInput } from './dataset.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** Seeds of the values, which are the same for every job, since they mean nothing: of samples to train on, and of others to evaluate by. */
export const SYNTHETIC_SEEDS: Readonly<Record<'training' | 'evaluation', number>> = {
  training: 1,
  evaluation: 0x80000000,
};

/** Rows that were drawn are kept up to so much, since drawing takes far longer than reading them again. */
const MOST_KEPT_BYTES = 32 * 2 ** 20;

/** Where the graph does not say which indices it can look up. */
const ANY_INDEX = { count: 2 };

/**
 * Samples of standard normal values, of indices that the graph can look up, and of targets that are 0 or 1 where the loss takes
 * probabilities, each drawn from its row's own seed.
 * @param seed of the first row
 */
export function openSynthetic(
  samples: number,
  wanted: readonly DatasetInput[],
  seed: number = SYNTHETIC_SEEDS.training,
): Dataset {
  const kept = wanted.map(() => new Map<number, TensorMemory>());
  let freeBytes = MOST_KEPT_BYTES;
  const rowOf = (row: number, index: number): TensorMemory => {
    const known = kept[index]!.get(row);
    if (known !== undefined) return known;
    const drawn = drawRow(seed + row, index, wanted[index]!);
    if (drawn.byteLength <= freeBytes) {
      freeBytes -= drawn.byteLength;
      kept[index]!.set(row, drawn);
    }
    return drawn;
  };
  return {
    samples,
    inputs: wanted,
    read(name, rows, region, target) {
      const index = wanted.findIndex((input) => input.name === name);
      const box: Region = [[0, 1], ...region];
      const path = new RegionPath(wholeRegion([1, ...wanted[index]!.shape]), box, box);
      const perRow = target.length / rows.length;
      rows.forEach((row, i) => path.copy(rowOf(row, index), target.subarray(i * perRow, (i + 1) * perRow)));
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

function drawRow(seed: number, index: number, { dtype, shape, indices, isProbability }: DatasetInput): TensorMemory {
  const random = createRandom(deriveSeed(seed, index));
  const count = elementCount(shape);
  if (dtype === 'int64')
    return BigInt64Array.from({ length: count }, () => BigInt(random.integer((indices ?? ANY_INDEX).count)));
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = isProbability === true ? random.integer(2) : random.normal();
  return values;
}

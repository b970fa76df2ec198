import { readFile } from 'node:fs/promises';
import { openSafetensors } from '../../../runtime/data/safetensors.ts';
import { encodeSafetensors, SafetensorsError } from '../../../soap/safetensors/safetensors.ts';
import { wholeRegion } from '../../../soap/region/region.ts';
import { structuredSafetensors } from '../structured/documents.ts';
import type { FuzzTarget } from '../target.ts';
import { TemporaryFolder } from '../temporary-file.ts';

const folder = new TemporaryFolder();
const NAME = 'data.safetensors';
const GOLDEN = new URL('../../../test/golden/mlp/data.safetensors', import.meta.url);

/** Data sets in safetensors files, which are read piece by piece: opened, and the first and last sample read. */
export const dataFile: FuzzTarget = {
  name: 'data-file',
  share: 20,
  refusals: [SafetensorsError],
  async seeds() {
    const tensors = new Map([
      ['x', { dtype: 'float32' as const, shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
      ['targets', { dtype: 'int64' as const, shape: [3], data: BigInt64Array.of(1n, 2n, 0n) }],
    ]);
    const golden = await readFile(GOLDEN);
    return [Buffer.concat(encodeSafetensors(tensors)), golden.subarray(0, 1 << 14)];
  },
  structured: structuredSafetensors,
  async read(bytes) {
    await folder.write(NAME, bytes);
    const dataset = await openSafetensors(NAME, await folder.path());
    try {
      for (const { name, shape, dtype } of dataset.inputs) {
        const rows = [0, dataset.samples - 1].filter((row) => row >= 0 && row < dataset.samples);
        const elements = rows.length * shape.reduce((a, b) => a * b, 1);
        const target = dtype === 'int64' ? new BigInt64Array(elements) : new Float32Array(elements);
        await dataset.read(name, rows, wholeRegion(shape), target);
      }
    } finally {
      await dataset.close();
    }
  },
  close: () => folder.remove(),
};

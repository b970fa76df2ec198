import { elementsOf } from '../../soap/onnx/element-types.ts';
import type { SafetensorsHeader } from '../../soap/safetensors/safetensors.ts';
import { headerLength, parseHeader } from '../../soap/safetensors/safetensors.ts';
import type { Region } from '../../soap/region/region.ts';
import { wholeRegion } from '../../soap/region/region.ts';
import { RegionPath } from '../kernels/regions.ts';
import type { Dataset } from './dataset.ts';
import { formFailure } from '../storage/missing-file.ts';
import type { OpenFile } from '../storage/open-file.ts';
import { openFile, readExactly, readPieces } from '../storage/open-file.ts';

/** A data set in one safetensors file: a tensor for each model input, and the targets; samples first. */
export async function openSafetensors(path: string, directory: string): Promise<Dataset> {
  const opened = await openFile(directory, path);
  try {
    const header = await readHeader(opened);
    const samples = sampleCount(header, path);
    return {
      samples,
      inputs: Array.from(header.tensors, ([name, { dtype, shape }]) => ({ name, shape: shape.slice(1), dtype })),
      async read(name, rows, region, target) {
        const entry = header.tensors.get(name)!;
        const rowShape = entry.shape.slice(1);
        const rowBytes = (entry.end - entry.start) / samples;
        const perRow = target.length / rows.length;
        const positions = rows.map((row) => entry.start + row * rowBytes);
        const box: Region = [[0, 1], ...region];
        const path = new RegionPath(wholeRegion([1, ...rowShape]), box, box);
        let i = 0;
        for await (const bytes of readPieces(opened, positions, rowBytes)) {
          path.copy(elementsOf(entry.dtype, bytes), target.subarray(i * perRow, (i + 1) * perRow));
          i += 1;
        }
      },
      close: () => opened.file.close(),
    };
  } catch (error) {
    await opened.file.close();
    throw formFailure(error, opened.changedMs);
  }
}

/** Reads only the header of an open file. */
export async function readHeader(opened: OpenFile): Promise<SafetensorsHeader> {
  const prefix = await readExactly(opened, 0, Math.min(8, opened.bytes));
  const length = headerLength(prefix, opened.bytes, `'${opened.source}'`);
  return parseHeader(await readExactly(opened, 8, length), opened.bytes, `'${opened.source}'`);
}

function sampleCount({ tensors }: SafetensorsHeader, path: string): number {
  const counts = new Map([...tensors].map(([name, { shape }]) => [name, shape[0] ?? 0]));
  const distinct = new Set(counts.values());
  if (distinct.size === 1) return [...distinct][0]!;
  const list = [...counts].map(([name, count]) => `'${name}' ${count}`).join(', ');
  throw new Error(
    `'${path}' has tensors with different numbers of samples (${list || 'none'}); expected one number, samples first`,
  );
}

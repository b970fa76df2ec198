import { wholeRegion } from '../../soap/region/region.ts';
import type { Region } from '../../soap/region/region.ts';
import { RegionPath } from '../kernels/regions.ts';
import type { TensorMemory } from '../kernels/kernels.ts';
import { TARGETS } from '../../soap/training/loss.ts';
import type { Dataset, DatasetInput } from './dataset.ts';
import { formFailure } from '../storage/missing-file.ts';
import type { OpenFile } from '../storage/open-file.ts';
import { openFile, readExactly, readPieces } from '../storage/open-file.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** IDX element type 8 is unsigned byte. Source: http://yann.lecun.com/exdb/mnist/ , "the IDX file format" */
const UNSIGNED_BYTE = 8;
const MAX_PIXEL = 255;

interface IdxFile extends OpenFile {
  readonly shape: readonly number[];
  readonly dataStart: number;
}

/**
 * Images and labels in IDX files, as MNIST has them. Images become float32 in [0, 1] with a channel axis before height and
 * width; labels become int64.
 */
export async function openIdx(
  paths: { readonly images: string; readonly labels: string },
  directory: string,
  wanted: readonly DatasetInput[],
): Promise<Dataset> {
  const images = await openIdxFile(directory, paths.images, 3);
  const labels = await openIdxFile(directory, paths.labels, 1).catch(async (error: unknown) => {
    await images.file.close();
    throw error;
  });
  const close = async (): Promise<void> => {
    await images.file.close();
    await labels.file.close();
  };
  const [samples, height, width] = images.shape;
  if (labels.shape[0] !== samples) {
    await close();
    throw new Error(
      `'${images.source}' has ${samples} images, '${labels.source}' ${labels.shape[0]} labels; expected as many`,
    );
  }
  const imageName = wanted.find(({ name }) => name !== TARGETS)?.name ?? 'images';
  const inputs: DatasetInput[] = [
    { name: imageName, shape: [1, height!, width!], dtype: 'float32' },
    { name: TARGETS, shape: [], dtype: 'int64' },
  ];
  return {
    samples: samples!,
    inputs,
    read: (name, rows, region, target) =>
      name === TARGETS ? readLabels(labels, rows, target) : readImages(images, rows, region, target),
    close,
  };
}

async function openIdxFile(directory: string, path: string, rank: number): Promise<IdxFile> {
  const opened = await openFile(directory, path);
  try {
    const dataStart = 4 + 4 * rank;
    if (opened.bytes < dataStart) throw new Error(`'${path}' has ${opened.bytes} bytes; expected an IDX file`);
    const header = await readExactly(opened, 0, dataStart);
    const view = new DataView(header.buffer);
    if (view.getUint16(0) !== 0 || header[2] !== UNSIGNED_BYTE || header[3] !== rank) {
      throw new Error(
        `'${path}' does not begin as an IDX file of unsigned bytes with ${rank} dimensions; see that it is unpacked`,
      );
    }
    const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
    const expected = dataStart + elementCount(shape);
    if (opened.bytes !== expected) {
      throw new Error(
        `'${path}' has ${opened.bytes} bytes; expected ${expected} for shape [${shape}]: it is truncated or damaged`,
      );
    }
    return { ...opened, shape, dataStart };
  } catch (error) {
    await opened.file.close();
    throw formFailure(error, opened.changedMs);
  }
}

async function readImages(
  images: IdxFile,
  rows: readonly number[],
  region: Region,
  target: TensorMemory,
): Promise<void> {
  if (!(target instanceof Float32Array)) throw new TypeError('internal: images are read as float32');
  const [, height, width] = images.shape;
  const pixels = height! * width!;
  const path = new RegionPath(wholeRegion([1, height!, width!]), region, region);
  const perRow = target.length / rows.length;
  const whole = new Float32Array(pixels);
  const reads = rows.map((row) => readExactly(images, images.dataStart + row * pixels, pixels));
  for (const [i, bytes] of (await Promise.all(reads)).entries()) {
    for (let p = 0; p < pixels; p++) whole[p] = bytes[p]! / MAX_PIXEL;
    path.copy(whole, target.subarray(i * perRow, (i + 1) * perRow));
  }
}

async function readLabels(labels: IdxFile, rows: readonly number[], target: TensorMemory): Promise<void> {
  if (!(target instanceof BigInt64Array)) throw new TypeError('internal: labels are read as int64');
  const positions = rows.map((row) => labels.dataStart + row);
  let i = 0;
  for await (const [label] of readPieces(labels, positions, 1)) target[i++] = BigInt(label!);
}

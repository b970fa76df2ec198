import { openIdx } from '../../../runtime/data/idx.ts';
import type { FuzzTarget } from '../target.ts';
import { TemporaryFolder } from '../temporary-file.ts';

const folder = new TemporaryFolder();
const [IMAGES, LABELS] = ['images', 'labels'];

/** IDX files of images: opened, checked against labels that are whole, and read to the end. */
export const idx: FuzzTarget = {
  name: 'idx',
  share: 25,
  async seeds() {
    const labels = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9);
    await folder.write(LABELS, labels);
    const images = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    return [images, labels];
  },
  async read(bytes) {
    await folder.write(IMAGES, bytes);
    const dataset = await openIdx({ images: IMAGES, labels: LABELS }, await folder.path(), []);
    try {
      const [, height, width] = dataset.inputs[0]!.shape;
      const target = new Float32Array(dataset.samples * height! * width!);
      const rows = Array.from({ length: dataset.samples }, (_, row) => row);
      const region = [1, height!, width!].map((extent): [number, number] => [0, extent]);
      await dataset.read('images', rows, region, target);
    } finally {
      await dataset.close();
    }
  },
  close: () => folder.remove(),
};

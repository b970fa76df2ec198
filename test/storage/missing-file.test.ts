import { cp, mkdtemp, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { isMissingFile } from '../../runtime/storage/missing-file.ts';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { readStoredModel } from '../../runtime/model/load-model.ts';
import { goldenCase } from '../support/train-in-memory.ts';
import { messageOf } from '../../soap/message-of.ts';

const LONG_AGO = new Date('2026-01-01');

let folder: string;
test.beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soapstone-missing-'));
});
test.afterEach.always(() => rm(folder, { recursive: true }));

/** What reading says of a file that is not there, of a piece of it that was written just now, and of one that nobody writes any more. */
async function saidOf(
  path: string,
  whole: string,
  read: () => Promise<unknown>,
): Promise<(readonly [boolean, string])[]> {
  const said = async (): Promise<readonly [boolean, string]> => {
    const error = await read().then(
      () => new Error('it was read'),
      (reason: unknown) => reason,
    );
    return [isMissingFile(error), messageOf(error)];
  };
  const before = await said();
  await cp(whole, path);
  await truncate(path, Math.floor((await readFile(path)).length / 2));
  await utimes(path, new Date(), new Date());
  const halfway = await said();
  await utimes(path, LONG_AGO, LONG_AGO);
  return [before, halfway, await said()];
}

test.serial('half a model that was changed just now counts as not there; left so, it is damaged', async (t) => {
  const { directory } = await goldenCase('mlp');
  const [before, halfway, left] = await saidOf(join(folder, 'm.onnx'), join(directory, 'model.onnx'), () =>
    readStoredModel('m.onnx', folder),
  );
  t.deepEqual([before![0], halfway![0], left![0]], [true, true, false]);
  t.regex(
    halfway![1],
    /^m\.onnx is not a complete ONNX file .*; it was changed \d s ago: if it is still being copied, wait for that$/,
  );
  t.regex(left![1], /^m\.onnx is not a complete ONNX file .*/);
  t.notRegex(left![1], /copied/);
});

test.serial('so it is with half a data set', async (t) => {
  const { directory, loaded } = await goldenCase('mlp');
  const [before, halfway, left] = await saidOf(join(folder, 'd.safetensors'), join(directory, 'data.safetensors'), () =>
    openDataset({ safetensors: 'd.safetensors', shuffle: false }, folder, loaded.training.graph),
  );
  t.deepEqual([before![0], halfway![0], left![0]], [true, true, false]);
  t.regex(halfway![1], /; it was changed \d s ago: if it is still being copied, wait for that$/);
});

test.serial('and with an IDX file that lacks its last images', async (t) => {
  const { loaded } = await goldenCase('cnn');
  const images = Buffer.concat([Buffer.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2]), Buffer.alloc(8)]);
  await writeFile(join(folder, 'whole'), images);
  const [before, halfway, left] = await saidOf(join(folder, 'images'), join(folder, 'whole'), () =>
    openDataset({ idx: { images: 'images', labels: 'labels' }, shuffle: false }, folder, loaded.training.graph),
  );
  t.deepEqual([before![0], halfway![0], left![0]], [true, true, false]);
});

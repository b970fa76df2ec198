import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import * as fc from 'fast-check';
import { readCached } from '../../runtime/storage/cached-bytes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const BYTES = 200_000;
const content = Uint8Array.from({ length: BYTES }, (_, i) => (i * 31) % 251);

test('what was just written is read without waiting, where it is asked for, and never half', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'file'), content);
  const file = await open(join(folder, 'file'));
  t.teardown(() => file.close());
  let taken = 0;
  const piece = fc.tuple(fc.nat(BYTES + 1000), fc.nat(70_000));
  fc.assert(
    fc.property(piece, ([position, bytes]) => {
      const target = new Uint8Array(bytes);
      const isRead = readCached(file.fd, position, target);
      if (isRead) taken += 1;
      const expected = isRead ? content.subarray(position, position + bytes) : new Uint8Array(bytes);
      t.true(Buffer.compare(target, expected) === 0, `${bytes} bytes at ${position}`);
      if (bytes > 65_536 || (bytes > 0 && position + bytes > BYTES)) t.false(isRead);
    }),
  );
  if (process.platform === 'linux') t.true(taken > 0);
});

test('a file that is not open has nothing', (t) => {
  t.false(readCached(-1, 0, new Uint8Array(8)));
});

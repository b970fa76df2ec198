import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openFile, readExactly } from '../../runtime/storage/open-file.ts';

test('more bytes than Node reads at once are read in several calls', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-open-file-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'short'), 'abc');
  const opened = await openFile(folder, 'short');
  t.teardown(() => opened.file.close());
  t.is(Buffer.from(await readExactly(opened, 1, 2)).toString(), 'bc');
  // Only memory that is written to is taken.
  const bytes = 2 ** 31 + 8;
  await t.throwsAsync(readExactly(opened, 0, bytes), { message: `'short' ended at byte 3; expected ${bytes}` });
});

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openFile, readExactly } from '../../runtime/storage/open-file.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('more bytes than Node reads at once are read in several calls', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'short'), 'abc');
  const opened = await openFile(folder, 'short');
  t.teardown(() => opened.file.close());
  t.is(Buffer.from(await readExactly(opened, 1, 2)).toString(), 'bc');
  // Only memory that is written to is taken.
  const bytes = 2 ** 31 + 8;
  await t.throwsAsync(readExactly(opened, 0, bytes), { message: `'short' ended at byte 3; expected ${bytes}` });
});

import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { leaveLastWords } from '../../runtime/worker/last-words.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('last words are left where a kubelet reads them, and nowhere else', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'termination-log');
  await leaveLastWords('nobody reads this', path);
  await t.throwsAsync(access(path), { code: 'ENOENT' });
  await writeFile(path, 'words of before that are longer than these');
  await leaveLastWords('no step was trained', path);
  t.is(await readFile(path, 'utf8'), 'no step was trained\n');
});

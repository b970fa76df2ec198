import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { leaveLastWords } from '../../runtime/worker/last-words.ts';

test('last words are left where a kubelet reads them, and nowhere else', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'termination-log');
  await leaveLastWords('nobody reads this', path);
  await t.throwsAsync(access(path), { code: 'ENOENT' });
  await writeFile(path, 'words of before that are longer than these');
  await leaveLastWords('no step was trained', path);
  t.is(await readFile(path, 'utf8'), 'no step was trained\n');
});

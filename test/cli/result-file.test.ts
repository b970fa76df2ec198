import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'ava';
import { cachedTable, cachedTablePath } from '../../cli/machine/costs.ts';
import { writeResult } from '../../cli/files/result-file.ts';
import { createCostTable, encodeCostTable } from '../../soap/cost/cost-table.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('a result takes the place of what was there when it is whole, through a link, and as open as that was', async (t) => {
  const folder = await temporaryFolder(t);
  const [file, link] = [join(folder, 'costs.json'), join(folder, 'link.json')];
  await writeResult(file, 'first');
  t.is(await readFile(file, 'utf8'), 'first');
  await chmod(file, 0o600);
  await symlink(file, link);
  await writeResult(link, ['sec', 'ond']);
  t.is(await readFile(file, 'utf8'), 'second');
  t.true((await lstat(link)).isSymbolicLink());
  t.is((await stat(file)).mode & 0o777, 0o600);
  const broken = function* (): Generator<string> {
    yield 'thi';
    throw new Error('there is no room');
  };
  await t.throwsAsync(writeResult(file, broken()), {
    message: /^cannot write .*costs\.json: there is no room; see that/,
  });
  t.is(await readFile(file, 'utf8'), 'second');
  t.deepEqual((await readdir(folder)).toSorted(), ['costs.json', 'link.json'], 'nothing is left in part');
});

test('a table of this machine that is damaged counts for nothing, and stops nobody', async (t) => {
  const path = cachedTablePath();
  t.is(await cachedTable(), undefined);
  await mkdir(dirname(path), { recursive: true });
  const whole = encodeCostTable(createCostTable([]));
  await writeFile(path, whole);
  t.deepEqual(await cachedTable(), createCostTable([]));
  await writeFile(path, whole.slice(0, whole.length / 2));
  t.is(await cachedTable(), undefined);
});

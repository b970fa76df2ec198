import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { soapstone } from '../support/soapstone.ts';

test('--version says which this is', async (t) => {
  const { code, stdout } = await soapstone('--version');
  t.is(code, 0);
  t.regex(stdout, /^soapstone \d+\.\d+\.\d+\n$/);
});

test('a misspelt command is refused with the one that was meant', async (t) => {
  const { code, stderr } = await soapstone('pln', '--model', 'lenet');
  t.is(code, 2);
  t.regex(stderr, /^soapstone: there is no command 'pln'; expected run, plan, .*: did you mean plan\?\n$/);
});

const PLAN = ['plan', '--model', 'lenet', '--cluster', 'p100x2', '--proposals', '5'];

test('where the result cannot be written is said before the search begins', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-words-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'file'), '');
  const cases: [path: string, message: RegExp][] = [
    [join(folder, 'none', 'plan.json'), /--save is '.*plan\.json'; there is no folder .*none; make it first/],
    [folder, /--save is '.*'; that is a folder; expected the path of a file/],
    [join(folder, 'file', 'plan.json'), /--save is '.*'; there is no folder .*file;/],
  ];
  for (const [path, message] of cases) {
    const { code, stderr } = await soapstone(...PLAN, '--save', path);
    t.is(code, 2);
    t.regex(stderr, message);
    t.notRegex(stderr, /searching/);
  }
  t.deepEqual(await readdir(folder), ['file'], 'nothing is left behind');
});

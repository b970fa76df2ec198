import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { SOAPSTONE } from '../support/soapstone.ts';

test('Ctrl-C ends a search with the best plan so far', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const file = join(directory, 'plan.json');
  const args = ['plan', '--model', 'alexnet', '--cluster', 'p100x4', '--seconds', '600', '--save', file];
  const child = spawn(process.execPath, [SOAPSTONE, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  await once(child.stderr, 'data');
  child.kill('SIGINT');
  const [code]: unknown[] = await once(child, 'exit');
  t.is(code, 130);
  const { search } = JSON.parse(await readFile(file, 'utf8'));
  t.is(search.stoppedBy, 'interrupted');
  t.true(search.proposals > 0 && search.curve.length > 0);
});

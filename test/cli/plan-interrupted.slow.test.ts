import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { SOAPSTONE } from '../support/soapstone.ts';

/** A search that is ended once it has said something: its exit code and the plan that it saved. */
async function endedOnce(said: RegExp): Promise<{ code: unknown; plan: Plan }> {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  const file = join(directory, 'plan.json');
  const args = ['plan', '--model', 'alexnet', '--cluster', 'p100x4', '--seconds', '600', '--save', file];
  const child = spawn(process.execPath, [SOAPSTONE, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => {
    if (!said.test(stderr) && said.test((stderr += data.toString()))) child.kill('SIGINT');
  });
  const [code]: unknown[] = await once(child, 'exit');
  const plan = decodePlan(await readFile(file, 'utf8'), file);
  await rm(directory, { recursive: true });
  return { code, plan };
}

test('Ctrl-C ends a search with the best plan so far', async (t) => {
  const { code, plan } = await endedOnce(/ proposals/);
  t.is(code, 130);
  t.is(plan.search!.stoppedBy, 'interrupted');
  t.true(plan.search!.proposals > 0 && plan.search!.curve!.length > 0);
});

test('Ctrl-C before the first proposal ends a search with the best of the usual strategies', async (t) => {
  const { code, plan } = await endedOnce(/looking at the usual strategies/);
  t.is(code, 130);
  t.is(plan.search!.stoppedBy, 'interrupted');
  t.is(plan.search!.proposals, 0);
  const known = Object.values(plan.baselines).map(({ iterationMs }) => iterationMs);
  t.is(plan.prediction.iterationMs, Math.min(...known));
});

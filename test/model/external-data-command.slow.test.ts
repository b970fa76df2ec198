import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { soapstone, soapstoneProcess } from '../support/soapstone.ts';
import { folderOf, GOLDEN, splitWeights } from './split-weights.ts';

test('the command trains such a model, and plans it', async (t) => {
  const folder = await folderOf(t, await splitWeights());
  await symlink(join(GOLDEN, 'data.safetensors'), join(folder, 'data.safetensors'));
  const job = join(folder, 'job.yaml');
  await writeFile(job, await readFile(join(GOLDEN, 'job.yaml'), 'utf8'));
  const args = ['--strategy', 'single', '--devices', '1', '--steps', '2', '--output', 'json'];
  const [there, here] = await Promise.all([
    soapstoneProcess('run', job, ...args),
    soapstoneProcess('run', join(GOLDEN, 'job.yaml'), ...args),
  ]);
  t.is(there.code, 0, there.stderr);
  t.deepEqual(JSON.parse(there.stdout).losses, JSON.parse(here.stdout).losses);
  const plan = ['plan', '--onnx', join(folder, 'model.onnx'), '--cluster', 'p100x2', '--proposals', '10'];
  const planned = await soapstone(...plan);
  t.is(planned.code, 0, planned.stderr);
});

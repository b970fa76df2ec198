import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import test from 'ava';
import { onSoftwareGpu } from '../support/software-gpu.ts';

const CHECKOUT = new URL('../../', import.meta.url).pathname;
const run = promisify(execFile);

/** A folder with node_modules/soapstone from the package that npm packs, and links to what it depends on. */
async function install(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-install-'));
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: CHECKOUT });
  const modules = join(folder, 'node_modules');
  await mkdir(join(modules, 'soapstone'), { recursive: true });
  await run('tar', ['-xzf', join(folder, stdout.trim()), '-C', join(modules, 'soapstone'), '--strip-components=1']);
  for (const name of await readdir(join(CHECKOUT, 'node_modules'))) {
    await symlink(join(CHECKOUT, 'node_modules', name), join(modules, name));
  }
  return folder;
}

test('the installed package has the command and the kubectl plugin; both run where Node runs no TypeScript by itself', async (t) => {
  const folder = await install();
  t.teardown(() => rm(folder, { recursive: true }));
  const bin = join(folder, 'node_modules', 'soapstone', 'cli', 'bin');
  const env = { ...process.env, KUBECONFIG: join(folder, 'none') };
  const plan = ['plan', '--model', 'lenet', '--cluster', 'p100x2', '--proposals', '20', '--output', 'json'];
  const { stdout } = await run(join(bin, 'soapstone.js'), plan, { env });
  t.true(JSON.parse(stdout).best.feasible);
  t.regex((await run(join(bin, 'kubectl-soapstone.js'), ['--help'], { env })).stdout, /kubectl soapstone COMMAND/);
  t.regex((await run(join(bin, 'kubectl_complete-soapstone.js'), ['lo'], { env })).stdout, /^logs\t.*\n:4\n$/);
  const refused = await t.throwsAsync(run(join(bin, 'kubectl-soapstone.js'), ['top'], { env }));
  t.like(refused, { code: 2 });
  t.regex(refused?.message ?? '', /kubectl soapstone: cannot read the kubeconfig: .*none.*; see \$KUBECONFIG/);
});

onSoftwareGpu('the installed package trains on a device whose kernels have a thread of their own', async (t) => {
  const folder = await install();
  t.teardown(() => rm(folder, { recursive: true }));
  const command = join(folder, 'node_modules', 'soapstone', 'cli', 'bin', 'soapstone.js');
  const job = join(CHECKOUT, 'test/golden/mlp/job.yaml');
  const how = ['--provider', 'webgpu', '--devices', '1', '--strategy', 'data', '--output', 'json'];
  const { stdout } = await run(command, ['run', job, ...how], { cwd: folder, timeout: 120_000 });
  t.is(JSON.parse(stdout).steps, 20);
});

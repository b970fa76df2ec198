import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { SOAPSTONE } from '../support/soapstone.ts';
import { onSoftwareGpu } from '../support/software-gpu.ts';
import { goldenCase, relativeError } from '../support/train-in-memory.ts';

async function run(job: string, ...args: string[]): Promise<{ losses: number[] }> {
  const all = [SOAPSTONE, 'run', job, '--devices', '2', '--strategy', 'data', '--output', 'json', ...args];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, all);
  if (!stderr.includes('kernels run by ONNX Runtime WebGPU')) throw new Error(stderr);
  const result: { losses: number[] } = JSON.parse(stdout);
  return result;
}

onSoftwareGpu('two processes train on WebGPU, and go on from their checkpoint with the same bits', async (t) => {
  t.timeout(600_000);
  const golden = await goldenCase('mlp');
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  try {
    await cp(golden.directory, directory, { recursive: true });
    const job = join(directory, 'job.yaml');
    const written = (await readFile(job, 'utf8')).replace('batchSize: 64', 'batchSize: 64\n    kernels: webgpu');
    await writeFile(job, `${written}  checkpoint: { directory: checkpoints, everySteps: 2, keep: 2 }\n`);
    const whole = await run(job, '--steps', '4');
    t.true(relativeError(whole.losses, golden.losses.slice(0, 4)) <= 1e-4, `${whole.losses}`);
    await rm(join(directory, 'checkpoints'), { recursive: true });
    await run(job, '--steps', '2');
    const rest = await run(job, '--steps', '4', '--resume');
    t.deepEqual(rest.losses, whole.losses.slice(2));
  } finally {
    await rm(directory, { recursive: true });
  }
});

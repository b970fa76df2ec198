import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { holdCheckpoints } from '../../cli/run/checkpoint-folder.ts';
import { readJob } from '../../cli/files/read-job.ts';
import { runIdentity } from '../../runtime/checkpoint/identity.ts';
import type { RunIdentity } from '../../runtime/checkpoint/index-file.ts';
import { createIndex, encodeIndex, INDEX_NAME } from '../../runtime/checkpoint/index-file.ts';
import { loadModel } from '../../runtime/model/load-model.ts';
import { soapstone } from '../support/soapstone.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const GOLDEN = new URL('../golden/mlp', import.meta.url).pathname;

/** A copy of golden mlp that keeps checkpoints, and would search for an hour. */
async function mlp(t: ExecutionContext): Promise<{ directory: string; job: string }> {
  const directory = await temporaryFolder(t);
  await cp(GOLDEN, directory, { recursive: true });
  const job = join(directory, 'job.yaml');
  const text = (await readFile(job, 'utf8')).replace(/seconds: .*/, 'seconds: 3600');
  await writeFile(job, `${text}  checkpoint: { directory: checkpoints, everySteps: 5 }\n`);
  return { directory, job };
}

/** Writes the index of a checkpoint: what is looked at before a search. */
async function writeCheckpoint(directory: string, step: number, run: RunIdentity): Promise<void> {
  const folder = join(directory, 'checkpoints', `step-${String(step).padStart(8, '0')}`);
  await mkdir(folder, { recursive: true });
  const index = createIndex({ step, run, source: {}, total_size: 0 }, { files: {}, weight_map: {}, boxes: {} });
  await writeFile(join(folder, INDEX_NAME), encodeIndex(index));
}

test('a checkpoint of another run is refused with all that differs, before an hour of search', async (t) => {
  const { directory, job: path } = await mlp(t);
  const { job } = await readJob(path);
  const { training } = await loadModel(job, directory);
  const run = runIdentity(job.spec, training, 512);
  await writeCheckpoint(directory, 5, {
    ...run,
    seed: 77,
    samples: 3,
    loss: '{"name":"binaryCrossEntropy"}',
    model: 'x',
  });
  await mkdir(join(directory, 'checkpoints', 'step-00000010'));
  const { code, stderr } = await soapstone('run', path, '--resume');
  t.is(code, 2);
  t.regex(
    stderr,
    /^soapstone: checkpoint \S*step-00000005 was written with loss \{"name":"binaryCrossEntropy"\}; expected /m,
  );
  t.regex(
    stderr,
    /; and with seed 77; expected \d+ of this job; and with number of samples 3; expected \d+ of this job: train on/,
  );
  t.notRegex(stderr, /fingerprint|device \d/);

  await writeCheckpoint(directory, 5, { ...run, model: '0123456789abcdef' });
  const { stderr: other } = await soapstone('run', path, '--resume');
  t.regex(other, /was written with a model of fingerprint 0123456789abcdef; expected [0-9a-f]{16} of this job/);
});

(process.platform === 'linux' ? test : test.skip)(
  'a second run on the same checkpoints is refused before its search, by whatever path; others are not',
  async (t) => {
    const { directory, job: path } = await mlp(t);
    const { job } = await readJob(path);
    const release = await holdCheckpoints(job, directory);
    const link = `${directory}-link`;
    await symlink(directory, link);
    t.teardown(() => rm(link));
    const { code, stderr } = await soapstone('run', join(link, 'job.yaml'));
    t.is(code, 2);
    t.regex(
      stderr,
      /^soapstone: another run on this machine has the checkpoints in \S*; expected one run at a time: wait for it/m,
    );
    await mkdir(join(directory, 'checkpoints'));
    await t.throwsAsync(holdCheckpoints(job, directory), { message: /another run on this machine/ }, 'it is there now');
    const releaseOther = await holdCheckpoints(job, (await mlp(t)).directory);
    await release();
    const releaseAgain = await holdCheckpoints(job, directory);
    await Promise.all([releaseOther(), releaseAgain()]);
  },
);

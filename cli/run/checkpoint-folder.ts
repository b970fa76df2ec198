import type { TrainingJob } from '../../soap/job/training-job.ts';
import { storagePath } from '../../runtime/storage/storage-path.ts';
import { UsageError } from '../command-line/usage-error.ts';
import { createHash } from 'node:crypto';
import { access, constants, realpath, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { checkIdentity } from '../../runtime/checkpoint/identity.ts';
import { checkpointFolders } from '../../runtime/checkpoint/folders.ts';
import type { RunIdentity } from '../../runtime/checkpoint/index-file.ts';
import { CheckpointError, readIndex } from '../../runtime/checkpoint/index-file.ts';

/**
 * Makes sure, before long work, that a job can write its checkpoints, where it keeps any.
 * @param storage folder that the job's paths are relative to
 * @throws {UsageError} where the directory is a file, or lies in one, or is closed to this user
 */
export async function requireCheckpointFolder({ spec }: TrainingJob, storage: string): Promise<void> {
  if (spec.checkpoint === undefined) return;
  const { directory } = spec.checkpoint;
  const { path, isFolder } = await nearestThere(storagePath(storage, directory));
  if (!isFolder)
    throw new UsageError(
      `spec.checkpoint.directory is '${directory}', and ${path} is a file; expected a folder, or a path where one can be made`,
    );
  await access(path, constants.W_OK).catch((error: unknown) => {
    throw new UsageError(
      `spec.checkpoint.directory is '${directory}', and this user may not write to ${path}; expected another folder, or the right to write there`,
      { cause: error },
    );
  });
}

/**
 * Makes sure, before long work, that a run can go on from the newest checkpoint of a directory. Its index alone is read: whether it is
 * whole is looked at when it is taken up.
 * @returns its folder; undefined where there is none
 * @throws {Error} a sentence where it is of another run
 */
export async function requireResumable(directory: string, run: RunIdentity): Promise<string | undefined> {
  for (const folder of await checkpointFolders(directory)) {
    try {
      checkIdentity(folder, await readIndex(folder), run);
      return folder;
    } catch (error) {
      // The run passes it over, and says why.
      if (!(error instanceof CheckpointError)) throw error;
    }
  }
  return undefined;
}

/**
 * Keeps the checkpoint directory of a job to this process, until what it returns is called or the process ends, however it does: two
 * runs would move and remove each other's checkpoints. Other machines that share the directory are not kept out, nor is anybody but
 * on Linux.
 * @param storage folder that the job's paths are relative to; the directory need not be there yet
 * @throws {UsageError} where another process of this machine has it
 */
export async function holdCheckpoints({ spec }: TrainingJob, storage: string): Promise<() => Promise<void>> {
  if (spec.checkpoint === undefined || process.platform !== 'linux') return () => Promise.resolve();
  const directory = storagePath(storage, spec.checkpoint.directory);
  const server = createServer().unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    void socketName(directory).then((name) => server.listen(name, resolve), reject);
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new UsageError(
      `another run on this machine has the checkpoints in ${directory}; expected one run at a time: wait for it, stop it, or choose ` +
        'another spec.checkpoint.directory',
      { cause: error },
    );
  });
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/** A name of the kernel's, not a file: nobody has to remove it after a process that was killed. Source: unix(7), "abstract". */
async function socketName(directory: string): Promise<string> {
  const { path: there } = await nearestThere(directory);
  const path = join(await realpath(there), relative(there, directory));
  return `\0soapstone/checkpoints/${createHash('sha256').update(path).digest('hex')}`;
}

/** A path, or the first of the folders around it that is there. */
async function nearestThere(path: string): Promise<{ path: string; isFolder: boolean }> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined) return { path, isFolder: found.isDirectory() };
  const around = dirname(path);
  return around === path ? { path, isFolder: true } : nearestThere(around);
}

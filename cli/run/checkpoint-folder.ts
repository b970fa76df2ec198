import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { storagePath } from '../../runtime/storage/storage-path.ts';
import { UsageError } from '../command-line/usage-error.ts';

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

/** A path, or the first of the folders around it that is there. */
async function nearestThere(path: string): Promise<{ path: string; isFolder: boolean }> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined) return { path, isFolder: found.isDirectory() };
  const around = dirname(path);
  return around === path ? { path, isFolder: true } : nearestThere(around);
}

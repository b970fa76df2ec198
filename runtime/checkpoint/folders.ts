import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';

const NAME = /^step-(\d{8,})$/;
const PARTIAL = /^\.step-\d{8,}\.partial$/;

/** Name of the folder of a whole checkpoint. */
export function folderName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

/** Name of the folder of a checkpoint that is being written. */
export function partialName(step: number): string {
  return `.${folderName(step)}.partial`;
}

/**
 * Folders that are called as checkpoints are, newest first; none where there is no such directory.
 * @throws {Error} a sentence where it cannot be listed: a run that took it for empty would begin anew and replace what is there
 */
export async function checkpointFolders(directory: string): Promise<string[]> {
  const ours = (await namesIn(directory)).filter((name) => NAME.test(name)).sort((a, b) => stepOf(b) - stepOf(a));
  return ours.map((name) => join(directory, name));
}

/** Steps done, by a checkpoint's folder. */
export function stepOf(folder: string): number {
  return Number(NAME.exec(basename(folder))?.[1]);
}

/** Removes what runs that were ended amid a checkpoint left of it: another of the same step may never be written. */
export async function removePartials(directory: string): Promise<void> {
  const partials = (await namesIn(directory)).filter((name) => PARTIAL.test(name));
  await Promise.all(partials.map((name) => rm(join(directory, name), { recursive: true, force: true })));
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw new Error(
      `cannot list the checkpoints in ${directory}: ${error.message}; see that the volume is mounted and readable`,
      { cause: error },
    );
  });
}

/** Name of the trained model beside the checkpoints. */
export const TRAINED_MODEL = 'trained.onnx';

/**
 * Moves the checkpoints of an earlier run, and its trained model, out of the way, into the folder `previous`, or `previous-2` and so on
 * where there is one, so that a run from the start neither loses them nor takes them for its own.
 * @returns the folder that they are in now; undefined where there were none
 */
export async function archiveCheckpoints(directory: string): Promise<string | undefined> {
  const folders = await checkpointFolders(directory);
  if (folders.length === 0) return undefined;
  const archive = await makeArchive(directory);
  for (const folder of folders) await rename(folder, join(archive, basename(folder)));
  await rename(join(directory, TRAINED_MODEL), join(archive, TRAINED_MODEL)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  return archive;
}

async function makeArchive(directory: string): Promise<string> {
  for (let number = 1; ; number++) {
    const archive = join(directory, number === 1 ? 'previous' : `previous-${number}`);
    const isMade = await mkdir(archive).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
    if (isMade) return archive;
  }
}

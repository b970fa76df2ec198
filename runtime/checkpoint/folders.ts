import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';

const NAME = /^step-(\d{8,})$/;

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
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw new Error(
      `cannot list the checkpoints in ${directory}: ${error.message}; see that the volume is mounted and readable`,
      { cause: error },
    );
  });
  const stepOf = (name: string): number => Number(NAME.exec(name)?.[1]);
  const ours = names.filter((name) => NAME.test(name)).sort((a, b) => stepOf(b) - stepOf(a));
  return ours.map((name) => join(directory, name));
}

/**
 * Moves the checkpoints of an earlier run out of the way, into the folder `previous`, so that a run from the start neither
 * loses them nor takes them for its own.
 */
export async function archiveCheckpoints(directory: string): Promise<void> {
  const folders = await checkpointFolders(directory);
  if (folders.length === 0) return;
  const archive = join(directory, 'previous');
  await rm(archive, { recursive: true, force: true });
  await mkdir(archive);
  for (const folder of folders) await rename(folder, join(archive, basename(folder)));
}

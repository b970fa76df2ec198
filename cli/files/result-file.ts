import { access, constants, copyFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { UsageError } from '../command-line/usage-error.ts';
import { messageOf } from '../../soap/message-of.ts';

/**
 * Makes sure, before long work, that its result can be written.
 * @param option that names the file, for messages
 * @param path undefined where the option is not given
 * @throws {UsageError} where the folder is missing or closed to this user, or the path is a folder
 */
export async function requireWritable(option: string, path: string | undefined): Promise<void> {
  if (path === undefined) return;
  const refuse = (reason: string): never => {
    throw new UsageError(`--${option} is '${path}'; ${reason}`);
  };
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) refuse('that is a folder; expected the path of a file, such as one in it');
  const folder = dirname(path);
  if (
    found === undefined &&
    !(await stat(folder)
      .then((at) => at.isDirectory())
      .catch(() => false))
  ) {
    refuse(`there is no folder ${folder}; make it first: mkdir -p '${folder}'`);
  }
  const place = found === undefined ? folder : path;
  await access(place, constants.W_OK).catch(() => refuse(`this user may not write to ${place}; expected another path`));
}

/**
 * Writes a result, whole or piece by piece. What was there before stays until it is on disk.
 * @throws {Error} a sentence where that fails
 */
export async function writeResult(path: string, contents: string | Iterable<string>): Promise<void> {
  await replaceFile(path, contents).catch((error: unknown) => {
    const reason = messageOf(error);
    throw new Error(`cannot write ${path}: ${reason}; see that there is room, and that the path is right`, {
      cause: error,
    });
  });
}

/** Writes to a neighbour, which then takes the place of the file that a path leads to. */
async function replaceFile(path: string, contents: string | Iterable<string>): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  const target = found === undefined ? path : await realpath(path);
  const mayAdd = await access(dirname(target), constants.W_OK).then(
    () => true,
    () => false,
  );
  // A pipe or terminal, such as /dev/stdout, takes what is written; and a file may be all that this user may write to.
  if (!mayAdd || found?.isFile() === false) return writeFile(path, contents);
  const partial = join(dirname(target), `.${basename(target)}.${process.pid}`);
  try {
    await writeFile(partial, contents, { mode: found?.mode ?? 0o666, flush: true });
    // Nothing can be renamed onto a file that is mounted by itself.
    await rename(partial, target).catch(() => copyFile(partial, target));
  } finally {
    await rm(partial, { force: true });
  }
}

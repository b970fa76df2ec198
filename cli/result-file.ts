import { access, constants, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UsageError } from './usage-error.ts';

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

/** Writes a result, whole or piece by piece. @throws {Error} a sentence where that fails */
export async function writeResult(path: string, contents: string | Iterable<string>): Promise<void> {
  await writeFile(path, contents).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot write ${path}: ${reason}; see that there is room, and that the path is right`, {
      cause: error,
    });
  });
}

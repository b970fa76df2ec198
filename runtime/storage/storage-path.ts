import { isAbsolute, relative, resolve, sep } from 'node:path';

/**
 * A path of a job, inside its storage.
 * @throws {Error} for a path that leads out of it
 */
export function storagePath(directory: string, path: string): string {
  const full = resolve(directory, path);
  const inside = relative(directory, full);
  if (isAbsolute(path) || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
    throw new Error(`path '${path}' leads out of the job's storage; expected a relative path inside it`);
  }
  return full;
}

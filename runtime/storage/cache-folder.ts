import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import process from 'node:process';

/**
 * The folder of what is kept for this user from one run to the next. Source: the XDG base directory specification, by which a variable
 * that is empty, or no absolute path, counts as one that is not set.
 */
export function cacheFolder(): string {
  const { XDG_CACHE_HOME: users = '' } = process.env;
  return join(isAbsolute(users) ? users : join(homedir(), '.cache'), 'soapstone');
}

import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/**
 * The folder of what is kept for this user from one run to the next. Source: the XDG base directory specification, by which a variable
 * that is empty counts as one that is not set.
 */
export function cacheFolder(): string {
  const { XDG_CACHE_HOME: users = '' } = process.env;
  return join(users === '' ? join(homedir(), '.cache') : users, 'soapstone');
}

import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { cacheFolder } from '../../runtime/storage/cache-folder.ts';

test('what is kept for a user is below XDG_CACHE_HOME, and in the home where that is empty or not set', (t) => {
  const { XDG_CACHE_HOME: before } = process.env;
  t.teardown(() => (process.env['XDG_CACHE_HOME'] = before));
  process.env['XDG_CACHE_HOME'] = join('/', 'elsewhere');
  t.is(cacheFolder(), join('/', 'elsewhere', 'soapstone'));
  const home = join(homedir(), '.cache', 'soapstone');
  process.env['XDG_CACHE_HOME'] = 'relative';
  t.is(cacheFolder(), home);
  process.env['XDG_CACHE_HOME'] = '';
  t.is(cacheFolder(), join(homedir(), '.cache', 'soapstone'));
  delete process.env['XDG_CACHE_HOME'];
  t.is(cacheFolder(), join(homedir(), '.cache', 'soapstone'));
});

import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { threadId } from 'node:worker_threads';

/**
 * Loaded before each test file: what is kept in the cache of the user who runs the tests, such as costs that were measured on this
 * machine, changes no prediction in them.
 */

const folder = join(tmpdir(), `soapstone-cache-${process.pid}-${threadId}`);
process.env['XDG_CACHE_HOME'] = folder;
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

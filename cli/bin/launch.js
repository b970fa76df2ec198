// Starts a program of the package with the Node that the package brings, whichever one the user's shell finds first. Plain JavaScript,
// for that one may be older than what the rest needs, and Node runs no TypeScript below a folder node_modules.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/**
 * Runs a TypeScript program and ends as it does.
 * @param {string} program relative to this file
 */
export function launch(program) {
  const node = createRequire(import.meta.url).resolve('node/bin/node');
  const hooks = new URL('strip-types.js', import.meta.url).href;
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--import',
    hooks,
    fileURLToPath(new URL(program, import.meta.url)),
  ];
  const env = { ...compileCache(), ...process.env };
  const child = spawn(node, [...args, ...process.argv.slice(2)], { stdio: 'inherit', env });
  // Ctrl-C reaches the program by itself, which decides when to end.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}

/**
 * Where Node keeps what it has compiled, so that programs, their threads and processes start in half the time from the second run
 * on; nothing where there is no room for it. Made here level by level: Node itself tries forever below /proc.
 * @returns {{ NODE_COMPILE_CACHE?: string }}
 */
function compileCache() {
  const { XDG_CACHE_HOME: own = '' } = process.env;
  const cache = own === '' ? join(homedir(), '.cache') : own;
  const folder = join(cache, 'soapstone', 'compiled');
  try {
    for (const each of [cache, join(cache, 'soapstone'), folder]) if (!existsSync(each)) mkdirSync(each);
    return { NODE_COMPILE_CACHE: folder };
  } catch {
    return {};
  }
}

// Starts a program of the package with the Node that the package brings, whichever one the user's shell finds first. Plain JavaScript,
// for that one may be older than what the rest needs, and Node runs no TypeScript below a folder node_modules.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { createRequire } from 'node:module';
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
  const child = spawn(node, [...args, ...process.argv.slice(2)], { stdio: 'inherit' });
  // Ctrl-C reaches the program by itself, which decides when to end.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}

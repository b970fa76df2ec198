import childProcess, { exec, execFile, execFileSync, execSync, fork, spawn, spawnSync } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import process from 'node:process';
import test from 'ava';
import { refuseProcesses } from './support/no-processes.ts';
import { OWN_PROCESS } from './support/own-process.ts';
import { STARTS_PROCESSES } from './support/starts-processes.ts';

const MESSAGE = 'a quick test starts no process';

test('a quick test cannot start a process, whichever way', (t) => {
  refuseProcesses(MESSAGE);
  const ways: Readonly<Record<string, () => unknown>> = {
    exec: () => exec('true'),
    execFile: () => execFile('true'),
    execFileSync: () => execFileSync('true'),
    execSync: () => execSync('true'),
    fork: () => fork(process.execPath),
    spawn: () => spawn('true'),
    spawnSync: () => spawnSync('true'),
    'of the default export': () => childProcess.spawnSync('true'),
  };
  for (const [name, start] of Object.entries(ways)) t.throws(start, { message: MESSAGE }, name);
});

test('the files that need a process of their own are quick tests that there are', async (t) => {
  for (const [file, why] of Object.entries(OWN_PROCESS)) {
    t.regex(file, /^test\/(?!.*\.slow\.test\.ts$).*\.test\.ts$/, why);
    await t.notThrowsAsync(access(new URL(`../${file}`, import.meta.url)));
  }
});

test('the files that may are quick tests, and start what is said of them by node:child_process', async (t) => {
  for (const [file, what] of Object.entries(STARTS_PROCESSES)) {
    t.regex(file, /^test\/(?!.*\.slow\.test\.ts$).*\.test\.ts$/, what);
    const text = await readFile(new URL(`../${file}`, import.meta.url), 'utf8');
    t.regex(text, /from 'node:child_process'|soapstoneProcess/, file);
  }
});

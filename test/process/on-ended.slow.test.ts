import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { onEnded } from '../../runtime/process/on-ended.ts';

/** Sends its last message when told, and leaves as soon as the channel has it. */
const SAYS_LAST = `
process.on('message', () => process.send('last', () => process.exit(0)));
process.send('ready');`;

/** Blocks this thread until a process is over, its last message unread. */
function awaitZombie({ pid }: ChildProcess): void {
  const isZombie = (): boolean => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  while (!isZombie()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
}

/** Processes are looked at in /proc. */
const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux(
  'the last message of a process is heard before its end, though another’s end is looked for in between',
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
    t.teardown(() => rm(directory, { recursive: true }));
    const program = join(directory, 'says-last.mjs');
    await writeFile(program, SAYS_LAST);
    const [first, second] = [fork(program), fork(program)];
    await Promise.all([once(first, 'message'), once(second, 'message')]);
    const heard: string[] = [];
    const ends = [first, second].map(
      (child, i) =>
        new Promise<void>((resolve) =>
          onEnded(child, (code) => {
            heard.push(`${i} ended with ${code}`);
            resolve();
          }),
        ),
    );
    second.on('message', (message) => heard.push(`1 ${String(message)}`));
    first.on('message', (message) => {
      heard.push(`0 ${String(message)}`);
      // The end of the first is told next, by asking which processes have ended; the channel of the second is read after that.
      second.send('go');
      awaitZombie(second);
    });
    first.send('go');
    awaitZombie(first);
    await Promise.all(ends);
    t.deepEqual(heard.toSorted(), ['0 ended with 0', '0 last', '1 ended with 0', '1 last']);
    for (const child of [0, 1])
      t.true(heard.indexOf(`${child} last`) < heard.indexOf(`${child} ended with 0`), heard.join(', '));
  },
);

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { isAtWork, Silence } from '../../runtime/transport/silence.ts';

const START_BEATS = 40;

/** Beats of silence until a peer is given up, at most 1000. */
function beatsUntilLost(silence: Silence): number {
  for (let beat = 1; beat <= 1000; beat++) if (silence.beat() !== undefined) return beat;
  return Infinity;
}

/** A peer that is silent for so many beats and then answers. */
function answersAfter(silence: Silence, beats: number): void {
  for (let beat = 0; beat < beats; beat++) silence.beat();
  silence.heard();
}

function silenceOf({ ready = true, works = false }: { ready?: boolean; works?: boolean } = {}): Silence {
  const silence = new Silence({ startBeats: START_BEATS, isAtWork: () => works });
  if (ready) silence.ready();
  return silence;
}

test('a peer that is ready is lost after 12 beats of silence, one that starts after those that it may take', (t) => {
  t.is(beatsUntilLost(silenceOf()), 13);
  t.is(beatsUntilLost(silenceOf({ ready: false })), START_BEATS + 1);
});

test('a peer that has come back from a long silence gets four times that, and the usual time some minutes later', (t) => {
  const silence = silenceOf();
  answersAfter(silence, 2);
  t.is(beatsUntilLost(silence), 13);
  const slow = silenceOf();
  answersAfter(slow, 10);
  for (let i = 0; i < 5; i++) answersAfter(slow, 1);
  const soon = beatsUntilLost(slow);
  t.true(soon > 30 && soon <= 41, `${soon}`);
  const later = silenceOf();
  answersAfter(later, 10);
  for (let i = 0; i < 1000; i++) answersAfter(later, 1);
  t.is(beatsUntilLost(later), 13);
});

test('a peer that is at work is waited for, but not for ever', (t) => {
  t.is(beatsUntilLost(silenceOf({ works: true })), 121);
});

test('a peer that is at work is waited for where a look finds it at rest, and lost where four in a row do', (t) => {
  const seen = '.w..w.www...w';
  let look = 0;
  const silence = new Silence({ startBeats: START_BEATS, isAtWork: () => seen[look++] === 'w' });
  silence.ready();
  // It is looked at from beat 9 on.
  t.is(beatsUntilLost(silence), 9 + seen.length - 1 + 4);
});

test('what a peer took to start is not held to be how it answers', (t) => {
  const silence = silenceOf({ ready: false });
  answersAfter(silence, 30);
  silence.ready();
  t.is(beatsUntilLost(silence), 13);
});

const onLinux = process.platform === 'linux' ? test : test.skip;

/** Looks again until the system says so. */
async function becomes(works: boolean, pid: number): Promise<boolean> {
  for (let look = 0; look < 1000; look++) {
    if (isAtWork(pid) === works) return true;
    await sleep(10);
  }
  return false;
}

onLinux('a process that computes is at work; one that is stopped, waits or is gone is not', async (t) => {
  const busy = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  t.teardown(() => busy.kill('SIGKILL'));
  t.true(await becomes(true, busy.pid!));
  busy.kill('SIGSTOP');
  t.true(await becomes(false, busy.pid!));
  busy.kill('SIGKILL');
  await once(busy, 'exit');
  t.false(isAtWork(busy.pid!));
  const idle = spawn('sleep', ['600'], { stdio: 'ignore' });
  t.teardown(() => idle.kill());
  t.true(await becomes(false, idle.pid!));
});

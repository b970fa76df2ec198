import test from 'ava';
import { KernelRunner } from '../../runtime/program/kernel-runner.ts';
import type { BoundKernel } from '../../runtime/kernels/kernels.ts';
import { SHORT_KERNEL_US } from '../../soap/simulator/host/short-kernels.ts';

/** Milliseconds on a clock that only kernels move. */
class Clock {
  ms = 0;
}

/** A kernel that notes where it runs, and takes so long there. */
function noting(log: string[], clock: Clock, milliseconds: () => number): BoundKernel {
  const take = (where: string): void => {
    log.push(where);
    clock.ms += milliseconds();
  };
  return {
    async run() {
      take('away');
    },
    runHere: () => take('here'),
    release: () => undefined,
  };
}

test('a kernel runs away until it has once been short, then here', async (t) => {
  const log: string[] = [];
  const clock = new Clock();
  const times = [2, 2, 0, 2, 2];
  const kernel = noting(log, clock, () => times.shift()!);
  const runner = new KernelRunner(() => clock.ms);
  for (let i = 0; i < 5; i++) await runner.run(kernel);
  t.deepEqual(log, ['away', 'away', 'away', 'here', 'here']);
});

test('what cannot run here never does', async (t) => {
  const log: string[] = [];
  const clock = new Clock();
  const kernel = noting(log, clock, () => 0);
  const runner = new KernelRunner(() => clock.ms);
  for (let i = 0; i < 3; i++) await runner.run({ run: () => kernel.run(), release: () => kernel.release() });
  t.deepEqual(log, ['away', 'away', 'away']);
});

test('timers and messages come in between kernels that run here one after the other', async (t) => {
  const clock = new Clock();
  const runner = new KernelRunner(() => clock.ms);
  let isFirst = true;
  const kernel = noting([], clock, () => (isFirst ? 0 : (0.6 * SHORT_KERNEL_US) / 1000));
  await runner.run(kernel);
  isFirst = false;
  let turns = 0;
  const countTurn = (): void => {
    turns += 1;
    turn = setImmediate(countTurn);
  };
  let turn = setImmediate(countTurn);
  for (let i = 0; i < 50; i++) {
    await runner.run(kernel);
    await runner.makeWay();
  }
  clearImmediate(turn);
  t.is(turns, 25);
});

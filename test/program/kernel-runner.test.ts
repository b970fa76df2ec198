import test from 'ava';
import { KernelRunner } from '../../runtime/program/kernel-runner.ts';
import type { BoundKernel } from '../../runtime/kernels/kernels.ts';
import { SHORT_KERNEL_US } from '../../soap/simulator/host/short-kernels.ts';

/** A kernel that notes where it runs, and takes so long there. */
function noting(log: string[], milliseconds: () => number): BoundKernel {
  const take = (): void => {
    const end = performance.now() + milliseconds();
    while (performance.now() < end);
  };
  return {
    async run() {
      log.push('away');
      take();
    },
    runHere() {
      log.push('here');
      take();
    },
    release: () => undefined,
  };
}

test('a kernel runs away until it has once been short, then here', async (t) => {
  const log: string[] = [];
  const times = [2, 2, 0, 2, 2];
  const kernel = noting(log, () => times.shift()!);
  const runner = new KernelRunner();
  for (let i = 0; i < 5; i++) await runner.run(kernel);
  t.deepEqual(log, ['away', 'away', 'away', 'here', 'here']);
});

test('what cannot run here never does', async (t) => {
  const log: string[] = [];
  const kernel = noting(log, () => 0);
  const runner = new KernelRunner();
  for (let i = 0; i < 3; i++) await runner.run({ run: () => kernel.run(), release: () => kernel.release() });
  t.deepEqual(log, ['away', 'away', 'away']);
});

test('timers and messages come in between kernels that run here one after the other', async (t) => {
  const runner = new KernelRunner();
  let isShort = true;
  const kernel = noting([], () => (isShort ? 0 : (0.6 * SHORT_KERNEL_US) / 1000));
  await runner.run(kernel);
  isShort = false;
  let turns = 0;
  const ticking = setInterval(() => (turns += 1), 1);
  for (let i = 0; i < 50; i++) {
    await runner.run(kernel);
    await runner.makeWay();
  }
  clearInterval(ticking);
  t.true(turns > 3);
});

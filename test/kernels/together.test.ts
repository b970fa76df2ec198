import test from 'ava';
import type { BoundKernel } from '../../runtime/kernels/kernels.ts';
import { together } from '../../runtime/kernels/together.ts';

test('kernels as one: each runs once, so many at a time, and the first failure is that of all', async (t) => {
  for (const [count, concurrency, most] of [
    [7, 2, 2],
    [3, 4, 3],
    [5, 1, 1],
    [0, 2, 0],
  ] as const) {
    const runs = Array.from({ length: count }, () => 0);
    const released = new Set<number>();
    let [going, peak] = [0, 0];
    const kernels = runs.map((_, index): BoundKernel => ({
      async run() {
        runs[index]! += 1;
        peak = Math.max(peak, (going += 1));
        await new Promise((resolve) => setImmediate(resolve));
        going -= 1;
      },
      release: () => void released.add(index),
    }));
    const all = together(kernels, concurrency);
    await all.run();
    t.true(runs.every((times) => times === 1));
    t.deepEqual([peak, going], [most, 0]);
    all.release();
    t.is(released.size, count);
  }
  const failing: BoundKernel = { run: () => Promise.reject(new Error('no memory')), release: () => undefined };
  await t.throwsAsync(together([failing, failing], 2).run(), { message: 'no memory' });
});

test('kernels of which one runs at a time run on the thread that asks, where each of them can', (t) => {
  const runs: number[] = [];
  const kernels = [0, 1, 2].map((index): BoundKernel => ({
    run: () => Promise.reject(new Error('on another thread')),
    runHere: () => void runs.push(index),
    release: () => undefined,
  }));
  together(kernels, 1).runHere?.();
  t.deepEqual(runs, [0, 1, 2]);
  t.false('runHere' in together(kernels, 2));
  const away: BoundKernel = { run: () => Promise.resolve(), release: () => undefined };
  t.false('runHere' in together([...kernels, away], 1));
});

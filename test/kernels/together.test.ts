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

import test from 'ava';
import { termOrder } from '../../runtime/collectives/term-order.ts';
import { updateRuns } from '../../soap/tasks/read-sums.ts';

test('gradients that are read where they lie are updated in as many kernels as are simulated', (t) => {
  for (const algorithm of ['ring', 'exchange', 'owner', 'hierarchical'] as const) {
    for (const count of [2, 3, 4]) {
      const devices = Array.from({ length: count }, (_, id) => id);
      for (const elements of [4096, 3_000_000]) {
        const orders = termOrder({ algorithm, devices, nodes: [devices] }, elements);
        // Each order in pieces of at most 2^20 elements: `runtime/program/shard-programs.ts`.
        const runs = orders.reduce((sum, { start, end }) => sum + Math.ceil((end - start) / 2 ** 20), 0);
        t.is(updateRuns(elements, { isRead: true, algorithm, devices }), runs, `${algorithm} of ${count}, ${elements}`);
        t.is(updateRuns(elements, { isRead: false, algorithm, devices }), Math.ceil(elements / 2 ** 20));
      }
    }
  }
  t.is(updateRuns(100, undefined), 1);
});

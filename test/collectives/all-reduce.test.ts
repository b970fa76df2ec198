import test from 'ava';
import * as fc from 'fast-check';
import { allReduce } from '../../runtime/collectives/all-reduce.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';

for (const algorithm of ['ring', 'exchange', 'owner', 'hierarchical'] as const) {
  test(`${algorithm} sums over any number of devices, with the same bits on each`, async (t) => {
    const grouped = algorithm === 'hierarchical' || algorithm === 'owner';
    const sizes = fc.tuple(fc.integer({ min: 2, max: 4 }), fc.integer({ min: 2, max: 3 }));
    const counts = grouped ? sizes : fc.tuple(fc.integer({ min: 2, max: 5 }), fc.constant(1));
    const cases = fc.tuple(counts, fc.integer({ min: 1, max: 23 }), fc.nat());
    await fc.assert(
      fc.asyncProperty(cases, async ([[nodes, groupSize], length, seed]) => {
        const count = nodes * groupSize;
        const byNode = (ring: readonly number[]): number[][] =>
          Array.from({ length: nodes }, (_, i) => ring.slice(i * groupSize, (i + 1) * groupSize));
        const value = (device: number, i: number): number => Math.fround(Math.sin(seed + 7 * device + 0.37 * i));
        const data = Array.from({ length: count }, (_, d) => Float32Array.from({ length }, (__, i) => value(d, i)));
        const transports = createMemoryTransports(count);
        const ring = [...transports.keys()].reverse();
        await Promise.all(
          transports.map((transport, d) =>
            allReduce({ algorithm, devices: ring, nodes: byNode(ring) }, transport, data[d]!, { step: 1, task: 2 }),
          ),
        );
        for (let i = 0; i < length; i++) {
          const sum = transports.reduce((total, _, d) => total + value(d, i), 0);
          t.true(Math.abs(data[0]![i]! - sum) < 1e-5);
        }
        for (const other of data) t.deepEqual(other, data[0]);
      }),
      { numRuns: 40 },
    );
  });
}

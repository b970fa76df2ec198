import test from 'ava';
import * as fc from 'fast-check';
import type { Reduction } from '../../runtime/collectives/all-reduce.ts';
import { allReduce } from '../../runtime/collectives/all-reduce.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import { wireElements } from '../../runtime/wire/elements.ts';
import type { CollectiveAlgorithm } from '../../soap/tasks/task-graph.ts';
import { FULL_RUN } from '../support/full-run.ts';
import { webSocketTransports } from '../support/transports.ts';

const ALGORITHMS: readonly CollectiveAlgorithm[] = ['ring', 'exchange', 'owner', 'hierarchical'];
const TYPES = ['float32', 'bfloat16'] as const;

/** A sum over nodes of equal sizes, in an order that is not that of the devices. */
function reductionOf(algorithm: CollectiveAlgorithm, nodes: number, groupSize: number): Reduction {
  const devices = Array.from({ length: nodes * groupSize }, (_, device) => device).reverse();
  const byNode = Array.from({ length: nodes }, (_, i) => devices.slice(i * groupSize, (i + 1) * groupSize));
  return { algorithm, devices, nodes: byNode };
}

for (const algorithm of ALGORITHMS) {
  for (const type of TYPES) {
    test(`${algorithm} over ${type} sums over any number of devices, with the same bits on each`, async (t) => {
      const grouped = algorithm === 'hierarchical' || algorithm === 'owner';
      const sizes = fc.tuple(fc.integer({ min: 2, max: 4 }), fc.integer({ min: 2, max: 3 }));
      const counts = grouped ? sizes : fc.tuple(fc.integer({ min: 2, max: 5 }), fc.constant(1));
      const cases = fc.tuple(counts, fc.integer({ min: 1, max: 23 }), fc.nat());
      await fc.assert(
        fc.asyncProperty(cases, async ([[nodes, groupSize], length, seed]) => {
          const count = nodes * groupSize;
          const value = (device: number, i: number): number => Math.fround(Math.sin(seed + 7 * device + 0.37 * i));
          const data = Array.from({ length: count }, (_, d) => Float32Array.from({ length }, (__, i) => value(d, i)));
          const transports = createMemoryTransports(count);
          const reduction = reductionOf(algorithm, nodes, groupSize);
          const tag = { step: 1, task: 2 };
          await Promise.all(
            transports.map((transport, d) => allReduce(reduction, transport, data[d]!, tag, wireElements(type))),
          );
          // Each of the roundings of bfloat16 is half a unit of its eight bits.
          const tolerance = type === 'float32' ? 1e-5 : count * 2 * count * 2 ** -9;
          for (let i = 0; i < length; i++) {
            const sum = transports.reduce((total, _, d) => total + value(d, i), 0);
            t.true(Math.abs(data[0]![i]! - sum) < tolerance, `${data[0]![i]} is not ${sum}`);
          }
          for (const other of data) t.deepEqual(other, data[0]);
        }),
        { numRuns: FULL_RUN ? 40 : 10 },
      );
    });
  }
}

/** What four devices have, of several MiB. */
const LONG = Array.from({ length: 4 }, (_, d) =>
  Float32Array.from({ length: 3 * 2 ** 20 + 7 }, (__, i) => Math.sin(d + i)),
);

for (const algorithm of ALGORITHMS) {
  test(`${algorithm} of several MiB in pieces has the bits of the same sum in one piece`, async (t) => {
    const reduction = reductionOf(algorithm, 2, 2);
    const length = LONG[0]!.length;
    const data = LONG.map((values) => values.slice());
    const transports = await webSocketTransports(4, { windowBytes: 3_000_000 });
    await Promise.all(
      transports.map((transport, d) => allReduce(reduction, transport, data[d]!, { step: 0, task: 0 })),
    );
    for (const other of data) t.true(Buffer.from(other.buffer).equals(Buffer.from(data[0]!.buffer)));
    // The runs that are summed in one order each: the same as of a sum that is small enough for one piece, element by element.
    const parts = algorithm === 'ring' ? 4 : algorithm === 'hierarchical' ? 4 : 1;
    for (let part = 0; part < parts; part++) {
      const middle = Math.floor(((part + 0.5) * length) / parts);
      const small = Array.from({ length: 4 }, (_, d) => new Float32Array(parts).fill(LONG[d]![middle]!));
      const few = createMemoryTransports(4);
      await Promise.all(few.map((transport, d) => allReduce(reduction, transport, small[d]!, { step: 0, task: 0 })));
      t.true(small[0]!.some((each) => each === data[0]![middle]));
    }
    await Promise.all(transports.map((transport) => transport.close()));
  });
}

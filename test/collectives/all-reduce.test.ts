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

/** What four devices have: more than one message of each of four runs, also where a value takes two bytes. */
const LONG = Array.from({ length: 4 }, (_, d) =>
  Float32Array.from({ length: 2 ** 21 + 9 }, (__, i) => Math.sin(d + i)),
);

/** What the roundings of a sum over four devices may add up to, relative to the sum of magnitudes: bfloat16 has eight bits. */
const TOLERANCES = { float32: 1e-6, bfloat16: 4 * 2 ** -9 };

/** The first element that is not the sum of what all devices had, element by element, within a tolerance; -1 where all are. */
function firstWrong(sums: Float32Array, tolerance: number): number {
  const [a, b, c, d] = LONG;
  return sums.findIndex((sum, i) => {
    const terms = [a![i]!, b![i]!, c![i]!, d![i]!] as const;
    const magnitude = Math.abs(terms[0]) + Math.abs(terms[1]) + Math.abs(terms[2]) + Math.abs(terms[3]);
    return !(Math.abs(sum - (terms[0] + terms[1] + terms[2] + terms[3])) <= tolerance * magnitude);
  });
}

for (const algorithm of ALGORITHMS) {
  for (const type of TYPES) {
    test(`${algorithm} of several MiB over ${type} in pieces has every element's sum, and the bits of one piece`, async (t) => {
      const reduction = reductionOf(algorithm, 2, 2);
      const elements = wireElements(type);
      const transports = await webSocketTransports(4, { windowBytes: 3_000_000 });
      // Many pieces of nearly equal size, and one element more than fits into one.
      for (const [step, length] of [LONG[0]!.length, 2 ** 20 / elements.bytesPerElement + 1].entries()) {
        const data = LONG.map((values) => values.slice(0, length));
        const tag = { step, task: 0 };
        await Promise.all(transports.map((transport, d) => allReduce(reduction, transport, data[d]!, tag, elements)));
        for (const other of data) t.true(Buffer.from(other.buffer).equals(Buffer.from(data[0]!.buffer)));
        t.is(firstWrong(data[0]!, TOLERANCES[type]), -1);
        // The runs that are summed in one order each: the same as of a sum that is small enough for one piece.
        const parts = algorithm === 'ring' || algorithm === 'hierarchical' ? 4 : 1;
        for (let part = 0; part < parts; part++) {
          const middle = Math.floor(((part + 0.5) * length) / parts);
          const small = Array.from({ length: 4 }, (_, d) => new Float32Array(parts).fill(LONG[d]![middle]!));
          const few = createMemoryTransports(4);
          await Promise.all(few.map((transport, d) => allReduce(reduction, transport, small[d]!, tag, elements)));
          t.true(small[0]!.some((each) => each === data[0]![middle]));
        }
      }
      await Promise.all(transports.map((transport) => transport.close()));
    });
  }
}

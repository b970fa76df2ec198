import test from 'ava';
import fc from 'fast-check';
import { SampleOrder } from '../../runtime/data/sample-order.ts';
import { createRandom, deriveSeed, shuffled } from '../../soap/random.ts';

const sizes = fc.record({ samples: fc.integer({ min: 1, max: 40 }), batch: fc.integer({ min: 1, max: 50 }) });
const seeds = fc.maxSafeInteger();

/** The rows of the first steps, one after the other. */
const rowsOf = (order: SampleOrder, steps: number): number[] =>
  Array.from({ length: steps }, (_, step) => order.rows(step)).flat();

test('without a shuffle, step s trains on the rows from s times the batch on, round and round', (t) => {
  fc.assert(
    fc.property(sizes, fc.nat({ max: 100 }), ({ samples, batch }, step) => {
      const rows = new SampleOrder(samples, batch, undefined).rows(step);
      t.deepEqual(
        rows,
        Array.from({ length: batch }, (_, i) => (step * batch + i) % samples),
      );
    }),
  );
});

test('with a shuffle, every epoch has every sample once', (t) => {
  fc.assert(
    fc.property(sizes, seeds, ({ samples, batch }, seed) => {
      const epochs = 3;
      const rows = rowsOf(new SampleOrder(samples, batch, seed), Math.ceil((epochs * samples) / batch));
      const all = Array.from({ length: samples }, (_, i) => i);
      for (let epoch = 0; epoch < epochs; epoch++) {
        const seen = rows.slice(epoch * samples, (epoch + 1) * samples);
        t.deepEqual(
          seen.toSorted((a, b) => a - b),
          all,
        );
      }
    }),
  );
});

test('the rows of a step depend on the seed alone, not on the steps asked for before: a resumed run goes on as it was', (t) => {
  fc.assert(
    fc.property(sizes, seeds, fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 8 }), (size, seed, steps) => {
      const used = new SampleOrder(size.samples, size.batch, seed);
      for (const step of steps) {
        t.deepEqual(used.rows(step), new SampleOrder(size.samples, size.batch, seed).rows(step));
      }
    }),
  );
});

test('the order of an epoch is a shuffle by a seed of its own', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), seeds, fc.nat({ max: 5 }), (samples, seed, epoch) => {
      const rows = new SampleOrder(samples, samples, seed).rows(epoch);
      t.deepEqual(rows, shuffled(samples, createRandom(deriveSeed(seed, epoch))));
    }),
  );
});

test('epochs and seeds have orders of their own', (t) => {
  const [first, second] = [new SampleOrder(100, 100, 1), new SampleOrder(100, 100, 2)];
  const orders = [first.rows(0), first.rows(1), first.rows(2), second.rows(0), second.rows(1)];
  t.is(new Set(orders.map(String)).size, orders.length);
});

test('every sample comes first about equally often', (t) => {
  const counts = [0, 0, 0, 0, 0];
  for (let seed = 0; seed < 5000; seed++) counts[new SampleOrder(5, 1, seed).rows(0)[0]!]!++;
  for (const count of counts) t.true(Math.abs(count - 1000) < 150, String(counts));
});

import test from 'ava';
import fc from 'fast-check';
import { createRandom, deriveSeed } from '../../soap/random.ts';

test('the values are those of xoshiro128** from the state 1, 2, 3, 4', (t) => {
  // Words as its definition gives them, two to a value: the upper 27 and 26 bits.
  const words = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804];
  const random = createRandom([1, 2, 3, 4]);
  for (let i = 0; i < words.length; i += 2) {
    t.is(random.next(), ((words[i]! >>> 5) * 2 ** 26 + (words[i + 1]! >>> 6)) / 2 ** 53);
  }
});

test('a saved state continues where the source was', (t) => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.nat({ max: 20 }), (seed, draws) => {
      const random = createRandom(seed);
      for (let i = 0; i < draws; i++) random.next();
      const copy = createRandom(JSON.parse(JSON.stringify(random.state())));
      const ahead = [random.next(), random.normal(), random.integer(100)];
      t.deepEqual([copy.next(), copy.normal(), copy.integer(100)], ahead);
    }),
  );
});

test('integers lie below their bound and each occurs about as often', (t) => {
  const random = createRandom(3);
  const counts = [0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < 70_000; i++) counts[random.integer(7)]!++;
  for (const count of counts) t.true(Math.abs(count - 10_000) < 500, String(counts));
});

test('normal values have mean 0, variance 1 and the tails of a normal distribution', (t) => {
  const random = createRandom(5);
  const values = Array.from({ length: 50_000 }, () => random.normal());
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  const beyondTwo = values.filter((value) => Math.abs(value) > 2).length / values.length;
  t.true(Math.abs(mean) < 0.02, String(mean));
  t.true(Math.abs(variance - 1) < 0.03, String(variance));
  t.true(Math.abs(beyondTwo - 0.0455) < 0.005, String(beyondTwo));
  t.true(values.every(Number.isFinite));
});

test('neighbouring seeds, and the uses of one seed, give different values', (t) => {
  const first = new Set(Array.from({ length: 1000 }, (_, seed) => createRandom(seed).next()));
  t.is(first.size, 1000);
  const derived = new Set(Array.from({ length: 1000 }, (_, use) => deriveSeed(1, use)));
  t.is(derived.size, 1000);
  t.is(deriveSeed(1, 2), deriveSeed(1, 2));
});

import test from 'ava';
import * as fc from 'fast-check';
import { wireElements } from '../../runtime/wire/elements.ts';

const bfloat16 = wireElements('bfloat16');
const sent = (values: Float32Array): Float32Array => bfloat16.unpack(bfloat16.pack(values));
const fromBits = (...bits: number[]): Float32Array => new Float32Array(Uint32Array.from(bits).buffer);
const bitsOf = (values: Float32Array): number[] => [
  ...new Uint32Array(values.buffer, values.byteOffset, values.length),
];

test('bfloat16 rounds to the nearest, ties to even', (t) => {
  const cases: [number, number][] = [
    [0x3f800000, 0x3f80],
    [0x3f807fff, 0x3f80],
    [0x3f808000, 0x3f80],
    [0x3f808001, 0x3f81],
    [0x3f818000, 0x3f82],
    [0xbf818000, 0xbf82],
    [0x7f7fffff, 0x7f80],
    [0x7f800000, 0x7f80],
    [0xff800000, 0xff80],
    [0x80000000, 0x8000],
    [0x00000001, 0x0000],
    [0x00018000, 0x0002],
  ];
  for (const [bits, half] of cases) t.is(bitsOf(sent(fromBits(bits)))[0]! >>> 16, half, bits.toString(16));
  for (const nan of [0x7f800001, 0x7fffffff, 0xffc00000]) t.true(Number.isNaN(sent(fromBits(nan))[0]));
});

test('no bfloat16 is nearer to a float than the one it is sent as', (t) => {
  fc.assert(
    fc.property(
      fc.float({ noNaN: true, noDefaultInfinity: true, max: Math.fround(1e38), min: Math.fround(-1e38) }),
      (value) => {
        const [got] = sent(Float32Array.of(value));
        const half = bitsOf(Float32Array.of(got!))[0]! >>> 16;
        for (const other of [half - 1, half + 1]) {
          const neighbour = fromBits((other << 16) >>> 0)[0]!;
          if (Number.isFinite(neighbour)) t.true(Math.abs(got! - value) <= Math.abs(neighbour - value));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

for (const type of ['float32', 'bfloat16'] as const) {
  test(`${type}: what is unpacked, copied, added and rounded agrees`, (t) => {
    const elements = wireElements(type);
    const values = Float32Array.from({ length: 100 }, (_, i) => Math.sin(i) * 10 ** ((i % 9) - 4));
    const bytes = elements.pack(values.slice());
    t.is(bytes.length, 100 * elements.bytesPerElement);
    const rounded = values.slice();
    elements.round(rounded);
    t.deepEqual(elements.unpack(bytes), rounded);
    const copied = new Float32Array(100);
    elements.copy(bytes, copied);
    t.deepEqual(copied, rounded);
    const sum = values.map((value) => value / 3);
    elements.add(bytes, sum);
    t.deepEqual(
      sum,
      values.map((value, i) => Math.fround(Math.fround(value / 3) + rounded[i]!)),
    );
  });
}

import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import type { OnnxTensor } from '../../soap/onnx/model.ts';
import { decodeSafetensors, encodeSafetensors, SafetensorsError } from '../../soap/safetensors/safetensors.ts';

const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const encode = (...args: Parameters<typeof encodeSafetensors>): Uint8Array => concat(encodeSafetensors(...args));

/** A file of any header text and data. */
function fileOf(header: unknown, dataBytes: number, announced?: bigint): Uint8Array {
  const text = typeof header === 'string' ? header : JSON.stringify(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(announced ?? BigInt(Buffer.byteLength(text)));
  return concat([length, Buffer.from(text), Buffer.alloc(dataBytes)]);
}

const name = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'größe', 'a\u0000b'));
const tensor: fc.Arbitrary<OnnxTensor> = fc.array(fc.nat({ max: 3 }), { maxLength: 3 }).chain((shape) => {
  const length = shape.reduce((a, b) => a * b, 1);
  const count = { minLength: length, maxLength: length };
  const doubles = fc.array(fc.double(), count);
  const bytes = fc.array(fc.nat({ max: 1 }), count);
  return fc.oneof(
    doubles.map((values): OnnxTensor => ({ dtype: 'float32', shape, data: Float32Array.from(values) })),
    doubles.map((values): OnnxTensor => ({ dtype: 'float64', shape, data: Float64Array.from(values) })),
    fc
      .array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), count)
      .map((values): OnnxTensor => ({ dtype: 'int64', shape, data: BigInt64Array.from(values) })),
    fc
      .array(fc.integer(), count)
      .map((values): OnnxTensor => ({ dtype: 'int32', shape, data: Int32Array.from(values) })),
    bytes.map((values): OnnxTensor => ({ dtype: 'uint8', shape, data: Uint8Array.from(values) })),
    bytes.map((values): OnnxTensor => ({ dtype: 'bool', shape, data: Uint8Array.from(values) })),
  );
});
const tensors = fc
  .array(fc.tuple(name, tensor), { maxLength: 5 })
  .map((entries) => new Map(entries.filter(([key]) => key !== '__metadata__')));
const metadata = fc.dictionary(fc.string(), fc.string());

test('tensors and metadata written and read back are the same', (t) => {
  fc.assert(
    fc.property(tensors, metadata, (written, about) => {
      const read = decodeSafetensors(encode(written, about));
      // A JSON object keeps names such as '2' before all others, so the order is not part of the file.
      t.is(read.tensors.size, written.size);
      for (const [key, expected] of written) t.deepEqual(read.tensors.get(key), expected);
      t.deepEqual({ ...read.metadata }, { ...about });
    }),
    { numRuns: 200 },
  );
});

test('a file is laid out as the format says', (t) => {
  const bytes = encode(new Map([['w', { dtype: 'float32', shape: [2], data: Float32Array.of(1, -2) }]]), { a: 'b' });
  const header = '{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  t.is(Buffer.from(bytes).readBigUInt64LE(0), BigInt(padded.length));
  t.is(Buffer.from(bytes).toString('latin1', 8, 8 + padded.length), padded);
  t.deepEqual([...bytes.subarray(8 + padded.length)], [0, 0, 128, 63, 0, 0, 0, 192]);
});

test('data that the library of the format wrote is read with its types and shapes', (t) => {
  const bytes = readFileSync(new URL('../golden/cnn/data.safetensors', import.meta.url));
  const { tensors: read } = decodeSafetensors(bytes);
  const x = read.get('x')!;
  const targets = read.get('targets')!;
  t.deepEqual([x.dtype, x.shape.slice(1)], ['float32', [1, 28, 28]]);
  t.deepEqual([targets.dtype, targets.shape], ['int64', x.shape.slice(0, 1)]);
  for (const label of targets.data) t.true(label >= 0n && label < 10n);
  t.true(x.data instanceof Float32Array && x.data.every((value) => Math.abs(value) < 100));
});

test('a file cut off at any byte, or with bytes after it, is refused', (t) => {
  const whole = encode(
    new Map<string, OnnxTensor>([
      ['w', { dtype: 'float32', shape: [2], data: Float32Array.of(1, -2) }],
      ['i', { dtype: 'int64', shape: [], data: BigInt64Array.of(5n) }],
    ]),
  );
  t.is(decodeSafetensors(whole).tensors.size, 2);
  for (let length = 0; length < whole.length; length++) {
    const error = t.throws(() => decodeSafetensors(whole.subarray(0, length), 'cut'), { instanceOf: SafetensorsError });
    t.true(error.message.startsWith('cut'), error.message);
  }
  t.throws(() => decodeSafetensors(concat([whole, new Uint8Array(1)])), { instanceOf: SafetensorsError });
});

const entry = (start: number, end: number, shape: unknown = [(end - start) / 4], dtype: unknown = 'F32'): unknown => ({
  dtype,
  shape,
  data_offsets: [start, end],
});
const hostile: [string, Uint8Array, RegExp][] = [
  [
    'a header longer than the file',
    fileOf({}, 0, 2n ** 40n),
    /announces a header of 1099511627776 bytes in a file of 10/,
  ],
  ['a header length of all ones', fileOf({}, 0, 2n ** 64n - 1n), /announces a header/],
  ['a header that is no JSON', fileOf('{"w":', 0), /header that is no JSON object/],
  ['a header that is a list', fileOf([], 0), /header that is no JSON object/],
  ['a header that is no UTF-8', concat([fileOf('', 0, 1n), Uint8Array.of(0xff)]), /header that is no JSON object/],
  ['a header of a hundred thousand brackets', fileOf('['.repeat(100_000), 0), /header that is no JSON object/],
  ['an entry that is null', fileOf({ w: null }, 0), /'w' has dtype undefined; expected one of F32/],
  ['an unknown dtype', fileOf({ w: entry(0, 4, [2], 'F16') }, 4), /'w' has dtype "F16"; expected one of F32, F64, I64/],
  ['a dtype of every object', fileOf({ w: entry(0, 4, [2], 'constructor') }, 4), /'w' has dtype "constructor"/],
  ['a negative extent', fileOf({ w: entry(0, 4, [-1]) }, 4), /'w' has no valid shape/],
  ['an extent of a fraction', fileOf({ w: entry(0, 4, [0.5]) }, 4), /'w' has no valid shape/],
  ['a shape that is a string', fileOf({ w: entry(0, 4, '1') }, 4), /'w' has no valid shape/],
  ['extents whose product overflows', fileOf({ w: entry(0, 4, [2 ** 52, 2 ** 52]) }, 4), /expected .* bytes/],
  ['offsets that do not match the shape', fileOf({ w: entry(0, 8, [1]) }, 8), /bytes 0 to 8 of 8; expected 4 bytes/],
  ['offsets backwards', fileOf({ w: entry(4, 0, [1]) }, 4), /bytes 4 to 0/],
  ['offsets beyond the file', fileOf({ w: entry(0, 400) }, 8), /bytes 0 to 400 of 8/],
  ['tensors that overlap', fileOf({ a: entry(0, 8), b: entry(4, 12) }, 12), /'b' at byte \d+ overlaps/],
  ['a gap between tensors', fileOf({ a: entry(0, 4), b: entry(8, 12) }, 12), /'b' at byte \d+ leaves a gap/],
  ['data of no tensor', fileOf({ a: entry(0, 4) }, 8), /its tensors end at \d+; expected the same/],
];
for (const [what, bytes, message] of hostile) {
  test(`a file with ${what} is refused with a sentence`, (t) => {
    t.throws(() => decodeSafetensors(bytes), { instanceOf: SafetensorsError, message });
  });
}

test('an empty tensor may share its offset with the next, in whatever order the header names them', (t) => {
  for (const order of [['a', 'b'] as const, ['b', 'a'] as const]) {
    const entries = { a: entry(0, 8), b: entry(0, 0) };
    const header = Object.fromEntries(order.map((key) => [key, entries[key]]));
    t.deepEqual(decodeSafetensors(fileOf(header, 8)).tensors.get('b')?.data, new Float32Array());
  }
});

test('a tensor cannot take the name that the format reserves', (t) => {
  const reserved = new Map([['__metadata__', { dtype: 'uint8', shape: [0], data: new Uint8Array() } as const]]);
  t.throws(() => encodeSafetensors(reserved), { instanceOf: SafetensorsError, message: /the format reserves it/ });
});

import test from 'ava';
import * as fc from 'fast-check';
import type { FrameKind, Header } from '../../runtime/wire/header.ts';
import { decodeHeader, encodeHeader, FRAME_KINDS, HEADER_BYTES, WireError } from '../../runtime/wire/header.ts';
import { MessageReader } from '../../runtime/wire/message-reader.ts';

const LIMIT = 8192;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const frameOf = (header: Header): Uint8Array => {
  const frame = new Uint8Array(HEADER_BYTES);
  encodeHeader(header, frame);
  return frame;
};
const readerOf = (): MessageReader =>
  new MessageReader({
    maxTensorBytes: LIMIT,
    admit: () => undefined,
    allocate: ({ payloadBytes }) => new Uint8Array(payloadBytes),
  });

const EXAMPLES: Readonly<Record<FrameKind, string>> = {
  tensor: '534f41500401000005000000070000000200000000100000',
  offer: '534f41500402000005000000070000000200000000000000',
  want: '534f41500403000005000000070000000200000000000000',
  wanted: '534f41500404000005000000070000000200000001100000',
  credit: '534f41500405000000000000000040000000000000000000',
  ready: '534f41500406000000000000000000000000000000000000',
  goodbye: '534f41500407000000000000000000000000000000080000',
  memory: '534f4150040800000000000000000000000000002e000000',
  shared: '534f41500409000005000000070000000200000010000000',
  freed: '534f4150040a00000000000000000000000000000c000000',
};

const HEADERS: readonly Header[] = [
  { kind: 'tensor', step: 5, task: 7, round: 2, payloadBytes: 4096 },
  { kind: 'offer', step: 5, task: 7, round: 2, payloadBytes: 0 },
  { kind: 'want', step: 5, task: 7, round: 2, payloadBytes: 0 },
  { kind: 'wanted', step: 5, task: 7, round: 2, payloadBytes: 4097 },
  { kind: 'credit', step: 0, task: 0x400000, round: 0, payloadBytes: 0 },
  { kind: 'ready', step: 0, task: 0, round: 0, payloadBytes: 0 },
  { kind: 'goodbye', step: 0, task: 0, round: 0, payloadBytes: 2048 },
  { kind: 'memory', step: 0, task: 0, round: 0, payloadBytes: 46 },
  { kind: 'shared', step: 5, task: 7, round: 2, payloadBytes: 16 },
  { kind: 'freed', step: 0, task: 0, round: 0, payloadBytes: 12 },
];

for (const header of HEADERS) {
  test(`a ${header.kind} header is these bytes`, (t) => {
    t.is(hex(frameOf(header)), EXAMPLES[header.kind]);
    t.deepEqual(decodeHeader(Buffer.from(EXAMPLES[header.kind], 'hex'), LIMIT), header);
  });
}

test('every kind of frame has an example', (t) => {
  t.deepEqual(Object.keys(EXAMPLES), Object.keys(FRAME_KINDS));
  t.deepEqual(
    HEADERS.map(({ kind }) => kind),
    Object.keys(EXAMPLES),
  );
});

test('headers that are truncated, of another version, or announce too much are refused', (t) => {
  const good = Buffer.from(EXAMPLES.tensor, 'hex');
  t.throws(() => decodeHeader(good.subarray(0, 23), LIMIT), {
    instanceOf: WireError,
    message: /23 bytes; expected at least 24/,
  });
  t.throws(() => decodeHeader(Buffer.from('00'.repeat(24), 'hex'), LIMIT), { message: /does not begin with SOAP/ });
  const version = Buffer.from(good);
  version[4] = 9;
  t.throws(() => decodeHeader(version, LIMIT), { message: /version 9; expected 4/ });
  t.throws(() => decodeHeader(good, 100), { message: /announces 4096 bytes; expected at most 100/ });
  const want = Buffer.from(EXAMPLES.want, 'hex');
  want[20] = 1;
  t.throws(() => decodeHeader(want, LIMIT), { message: /a want message announces 1 bytes; expected at most 0/ });
});

test('a small payload is in the frame of its header, and nothing else fits there', (t) => {
  const header: Header = { kind: 'tensor', step: 1, task: 2, round: 3, payloadBytes: 5 };
  const payload = Uint8Array.of(1, 2, 3, 4, 5);
  const frame = Buffer.concat([frameOf(header), payload]);
  const message = readerOf().take(frame);
  t.deepEqual({ ...message, payload: [...message!.payload] }, { ...header, payload: [1, 2, 3, 4, 5] });
  t.is(message!.payload.byteOffset % 8, 0);
  t.throws(() => readerOf().take(frame.subarray(0, -1)), { message: /a tensor frame has 28 bytes; expected 29/ });
  t.throws(() => readerOf().take(Buffer.concat([frame, payload])), { message: /34 bytes; expected 29/ });
});

test('a large payload comes in data frames of fixed sizes', (t) => {
  const maxTensorBytes = 3 * 2 ** 20;
  const payload = Uint8Array.from({ length: 2 ** 20 + 10 }, (_, i) => i % 251);
  const header = frameOf({ kind: 'wanted', step: 1, task: 2, round: 3, payloadBytes: payload.length });
  const reader = new MessageReader({
    maxTensorBytes,
    admit: () => undefined,
    allocate: ({ payloadBytes }) => new Uint8Array(payloadBytes),
  });
  t.is(reader.take(header), undefined);
  t.true(reader.inMessage);
  t.is(reader.take(payload.subarray(0, 2 ** 20)), undefined);
  t.true(Buffer.from(reader.take(payload.subarray(2 ** 20))!.payload).equals(payload));
  t.false(reader.inMessage);
  for (const size of [0, 1, 2 ** 20 - 1, 2 ** 20 + 1]) {
    const other = new MessageReader({
      maxTensorBytes,
      admit: () => undefined,
      allocate: ({ payloadBytes }) => new Uint8Array(payloadBytes),
    });
    other.take(header);
    t.throws(() => other.take(new Uint8Array(size)), { message: new RegExp(` ${size} bytes; expected 1048576`) });
  }
});

test('a message is refused before memory is taken for it', (t) => {
  const refuse = (): never => {
    throw new WireError('not now');
  };
  const allocate = ({ payloadBytes }: Header): Uint8Array => new Uint8Array(payloadBytes);
  const reader = new MessageReader({ maxTensorBytes: 2 ** 31, admit: refuse, allocate });
  const huge = frameOf({ kind: 'tensor', step: 1, task: 2, round: 3, payloadBytes: 2 ** 31 });
  const before = process.memoryUsage().arrayBuffers;
  t.throws(() => reader.take(huge), { message: 'not now' });
  t.true(process.memoryUsage().arrayBuffers - before < 2 ** 20);
});

test('frames of any bytes give a message or a WireError, never anything else', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), fc.boolean(), (frames, startGood) => {
      const reader = readerOf();
      if (startGood) reader.take(Buffer.from(EXAMPLES.wanted, 'hex'));
      try {
        for (const frame of frames) reader.take(frame);
      } catch (error) {
        t.true(error instanceof WireError);
      }
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

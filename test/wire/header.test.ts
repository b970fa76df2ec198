import test from 'ava';
import * as fc from 'fast-check';
import type { FrameKind } from '../../runtime/wire/header.ts';
import { decodeHeader, encodeHeader, FRAME_KINDS, WireError } from '../../runtime/wire/header.ts';
import { MessageReader } from '../../runtime/wire/message-reader.ts';

const LIMIT = 4096;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const EXAMPLES: Readonly<Record<FrameKind, string>> = {
  hello: '534f41500101000000000000070000000000000020000000',
  proof: '534f41500102000000000000070000000000000020000000',
  tensor: '534f41500103000005000000070000000200000000100000',
  goodbye: '534f41500104000000000000070000000000000000000000',
};
const PAYLOAD = { hello: 32, proof: 32, tensor: 4096, goodbye: 0 } as const;

for (const kind of ['hello', 'proof', 'tensor', 'goodbye'] as const) {
  test(`a ${kind} header is these bytes`, (t) => {
    const [step, round] = kind === 'tensor' ? [5, 2] : [0, 0];
    const header = { kind, step, task: 7, round, payloadBytes: PAYLOAD[kind] };
    t.is(hex(encodeHeader(header)), EXAMPLES[kind]);
    t.deepEqual(decodeHeader(Buffer.from(EXAMPLES[kind], 'hex'), LIMIT), header);
  });
}

test('every kind of frame has an example', (t) => {
  t.deepEqual(Object.keys(EXAMPLES), Object.keys(FRAME_KINDS));
});

test('headers that are truncated, of another version, or announce too much are refused', (t) => {
  const good = Buffer.from(EXAMPLES.tensor, 'hex');
  t.throws(() => decodeHeader(good.subarray(0, 23), LIMIT), {
    instanceOf: WireError,
    message: /23 bytes; expected 24/,
  });
  t.throws(() => decodeHeader(Buffer.from('00'.repeat(24), 'hex'), LIMIT), { message: /does not begin with SOAP/ });
  const version = Buffer.from(good);
  version[4] = 9;
  t.throws(() => decodeHeader(version, LIMIT), { message: /version 9; expected 1/ });
  t.throws(() => decodeHeader(good, 100), { message: /announces 4096 bytes; expected at most 100/ });
});

test('frames of any bytes give a message or a WireError, never anything else', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), fc.boolean(), (frames, startGood) => {
      const reader = new MessageReader(LIMIT);
      if (startGood) reader.take(Buffer.from(EXAMPLES.tensor, 'hex'));
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

test('a payload in several frames arrives whole, and one byte too many is refused', (t) => {
  const payload = Uint8Array.from({ length: 10 }, (_, i) => i);
  const header = encodeHeader({ kind: 'tensor', step: 1, task: 2, round: 3, payloadBytes: 10 });
  const reader = new MessageReader(LIMIT);
  t.is(reader.take(header), undefined);
  t.is(reader.take(payload.subarray(0, 3)), undefined);
  t.deepEqual(reader.take(payload.subarray(3))?.payload, payload);
  reader.take(header);
  t.throws(() => reader.take(new Uint8Array(11)), { message: /11 bytes; expected 1 to 10/ });
});

import test from 'ava';
import * as fc from 'fast-check';
import { WireError } from '../../runtime/wire/header.ts';
import type { Opcode } from '../../runtime/wire/web-socket-frames.ts';
import { frameHead, FrameReader } from '../../runtime/wire/web-socket-frames.ts';

interface Sent {
  readonly opcode: Opcode;
  readonly payload: Uint8Array;
}

/** A frame's bytes; a mask that is not zero is put on the payload, as clients that are no devices do. */
function frameOf({ opcode, payload }: Sent, masks: boolean, mask: readonly number[]): Uint8Array {
  const head = frameHead(opcode, payload.length, masks);
  if (masks) head.set(mask, head.length - 4);
  return Buffer.concat([head, masks ? payload.map((byte, i) => byte ^ mask[i % 4]!) : payload]);
}

/** Reads into memory that is handed out as devices do. Returns what came. */
function readerOf(masks: boolean): { reader: FrameReader; came: Sent[] } {
  const came: Sent[] = [];
  let room: Uint8Array = new Uint8Array();
  const reader = new FrameReader(masks, {
    onBinary: (bytes) => (room = new Uint8Array(bytes)),
    onBinaryEnd: () => void came.push({ opcode: 'binary', payload: room }),
    onControl: (opcode, payload) => void came.push({ opcode, payload }),
  });
  return { reader, came };
}

const sizes = fc.oneof(
  fc.integer({ max: 300, min: 0 }),
  fc.constantFrom(125, 126, 16_383, 16_384, 65_535, 65_536, 200_001),
);
const frames = fc.array(
  fc.oneof(
    fc.record({ opcode: fc.constant<Opcode>('binary'), size: sizes }),
    fc.record({ opcode: fc.constantFrom<Opcode>('ping', 'pong', 'close'), size: fc.integer({ min: 0, max: 125 }) }),
  ),
  { maxLength: 8 },
);
const masks = fc.constantFrom([0, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 255]);

test('what is sent in frames of all lengths, masked or not, comes whole however it is cut', (t) => {
  fc.assert(
    fc.property(
      frames,
      fc.boolean(),
      masks,
      fc.infiniteStream(fc.integer({ min: 1, max: 70_000 })),
      (all, client, mask, cuts) => {
        const sent = all.map(({ opcode, size }, k) => ({
          opcode,
          payload: Uint8Array.from({ length: size }, (_, i) => (i * 7 + k) % 256),
        }));
        const bytes = Buffer.concat(sent.map((frame) => frameOf(frame, client, mask)));
        const { reader, came } = readerOf(client);
        for (let start = 0; start < bytes.length;) {
          const target = reader.next();
          const count = Math.min(target.length, cuts.next().value, bytes.length - start);
          target.set(bytes.subarray(start, start + count));
          reader.took(count);
          start += count;
        }
        t.deepEqual(came, sent);
      },
    ),
    { numRuns: 60 },
  );
});

test('most of a large payload is read to where it stays', (t) => {
  const { reader, came } = readerOf(false);
  const payload = new Uint8Array(2 ** 20).fill(3);
  reader.take(frameHead('binary', payload.length, false));
  const target = reader.next();
  t.is(target.length, payload.length);
  target.set(payload);
  reader.took(target.length);
  t.is(came[0]?.payload.buffer, target.buffer);
});

const REFUSED: readonly [string, boolean, readonly number[], RegExp][] = [
  ['text', false, [0x81, 1, 65], /^it sent text; expected binary frames$/],
  ['a fragment', false, [0x02, 1, 65], /begins with byte 2; expected whole binary ones/],
  ['a reserved bit', false, [0xc2, 1, 65], /begins with byte 194/],
  ['a mask of a server', false, [0x82, 0x81, 0, 0, 0, 0, 65], /^it sent a WebSocket frame with a mask$/],
  ['no mask of a client', true, [0x82, 1, 65], /^it sent a WebSocket frame without a mask$/],
  ['a long ping', false, [0x89, 126, 0, 126], /of 126 bytes; expected at most 125/],
  ['too much', false, [0x82, 127, 0, 0, 0, 0, 0, 16, 0, 1], /of 1048577 bytes; expected at most 1048576/],
  ['more than there is', false, [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255], /bytes; expected at most 1048576/],
];

for (const [what, client, bytes, message] of REFUSED) {
  test(`${what} is refused with a sentence`, (t) => {
    t.throws(() => readerOf(client).reader.take(Uint8Array.from(bytes)), { instanceOf: WireError, message });
  });
}

import { encodeHeader, HEADER_BYTES, MAX_INLINE_BYTES, WireError } from '../../../runtime/wire/header.ts';
import { MessageReader } from '../../../runtime/wire/message-reader.ts';
import type { Opcode } from '../../../runtime/wire/web-socket-frames.ts';
import { frameHead, FrameReader } from '../../../runtime/wire/web-socket-frames.ts';
import type { FuzzTarget } from '../target.ts';

const MAX_TENSOR_BYTES = 16 * 2 ** 20;

/** What a peer that is a client may send: a small tensor, a large one, and control frames. */
function validStream(): Uint8Array {
  const frame = (opcode: Opcode, payload: Uint8Array): Uint8Array =>
    Buffer.concat([frameHead(opcode, payload.length, true), payload]);
  const header = (payloadBytes: number): Uint8Array => {
    const bytes = new Uint8Array(HEADER_BYTES);
    encodeHeader({ kind: 'tensor', step: 1, task: 2, round: payloadBytes, payloadBytes }, bytes);
    return bytes;
  };
  const [small, large] = [new Uint8Array(40), new Uint8Array(5 * MAX_INLINE_BYTES).fill(7)];
  return Buffer.concat([
    frame('binary', Buffer.concat([header(small.length), small])),
    frame('ping', Uint8Array.of(1, 2)),
    frame('binary', header(large.length)),
    frame('binary', large),
    frame('close', new Uint8Array()),
  ]);
}

/** The bytes of a connection, from its frames to its messages. */
export const webSocket: FuzzTarget = {
  name: 'bytes of a WebSocket',
  share: 150,
  seeds: () => Promise.resolve([validStream()]),
  refusals: [WireError],
  read(input) {
    const messages = new MessageReader({
      maxTensorBytes: MAX_TENSOR_BYTES,
      admit: () => undefined,
      allocate: ({ payloadBytes }) => new Uint8Array(payloadBytes),
    });
    const reader = new FrameReader(true, {
      onBinary: (bytes) => messages.room(bytes),
      onBinaryEnd: () => void messages.filled(),
      onControl: () => undefined,
    });
    reader.take(input);
    if (messages.inMessage) throw new WireError('it closed the connection in the middle of a message');
  },
};

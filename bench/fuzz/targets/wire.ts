import type { Header } from '../../../runtime/wire/header.ts';
import { encodeHeader, FRAME_KINDS, HEADER_BYTES, MAX_INLINE_BYTES, WireError } from '../../../runtime/wire/header.ts';
import { MessageReader } from '../../../runtime/wire/message-reader.ts';
import { PeerError } from '../../../runtime/transport/transport.ts';
import { createFrameSink } from '../frame-sink.ts';
import type { FuzzTarget } from '../target.ts';

/** Frames go into one input with their lengths before them. */
const LENGTH_BYTES = 4;
const MAX_TENSOR_BYTES = 16 * 2 ** 20;

/** An input of several frames. */
export function joinFrames(frames: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(frame.length);
      return [length, frame];
    }),
  );
}

/** The frames of an input; a length that is too large takes what there is. */
export function splitFrames(input: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  for (let at = 0; at + LENGTH_BYTES <= input.length;) {
    const end = at + LENGTH_BYTES + view.getUint32(at, true);
    frames.push(input.subarray(at + LENGTH_BYTES, end));
    at = Math.min(end, input.length);
  }
  return frames;
}

function framesOf(header: Omit<Header, 'payloadBytes'>, payload: Uint8Array): Uint8Array[] {
  const first = new Uint8Array(HEADER_BYTES);
  encodeHeader({ ...header, payloadBytes: payload.length }, first);
  return payload.length <= MAX_INLINE_BYTES ? [Buffer.concat([first, payload])] : [first, payload];
}

/** What a peer says first. */
export function creditFrame(): Uint8Array {
  return framesOf({ kind: 'credit', step: 0, task: 1000, round: 0 }, new Uint8Array())[0]!;
}

/** Streams that a peer may send, of every kind of message. */
export function validStreams(): Uint8Array[][] {
  const small = Uint8Array.from({ length: 40 }, (_, i) => i);
  const large = new Uint8Array(MAX_INLINE_BYTES + 1000).fill(7);
  const tag = { step: 1, task: 2, round: 0 };
  const tensors = [small, large, small].flatMap((payload, round) =>
    framesOf({ ...tag, kind: 'tensor', round }, payload),
  );
  const kinds = Object.keys(FRAME_KINDS).filter((kind): kind is Header['kind'] => kind in FRAME_KINDS);
  const empty = kinds
    .filter((kind) => kind !== 'wanted')
    .map((kind) => framesOf({ ...tag, kind, round: 9 }, new Uint8Array()));
  return [tensors, ...empty, [...tensors, ...empty.flat()]];
}

const inputs = (): Promise<Uint8Array[]> => Promise.resolve(validStreams().map(joinFrames));

/** The decoder of frames alone. */
export const wire: FuzzTarget = {
  name: 'wire frames',
  share: 200,
  seeds: inputs,
  refusals: [WireError],
  read(input) {
    const reader = new MessageReader({
      maxTensorBytes: MAX_TENSOR_BYTES,
      admit: () => undefined,
      allocate: ({ payloadBytes }) => new Uint8Array(payloadBytes),
    });
    for (const frame of splitFrames(input)) reader.take(frame);
    if (reader.inMessage) throw new WireError('it closed the connection in the middle of a message');
  },
};

/** What a device does with frames of a peer: credits, offers, duplicates, lengths. */
export const peer: FuzzTarget = {
  name: 'frames of a peer',
  share: 150,
  seeds: inputs,
  refusals: [WireError, PeerError],
  async read(input) {
    const sink = createFrameSink();
    for (const frame of splitFrames(input)) sink.take(frame);
    await sink.close();
  },
};

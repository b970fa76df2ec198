/**
 * The wire between two devices. A message is a header with its payload: in one frame where the payload has at most
 * {@link MAX_INLINE_BYTES}; else the header's frame, then data frames of {@link MAX_DATA_FRAME_BYTES}, the last one shorter,
 * nothing between them. Integers are little-endian.
 *
 * | offset | bytes | field |
 * | --- | --- | --- |
 * | 0 | 4 | magic `SOAP` |
 * | 4 | 1 | version |
 * | 5 | 1 | kind, see {@link FRAME_KINDS} |
 * | 6 | 2 | zero |
 * | 8 | 4 | step |
 * | 12 | 4 | task |
 * | 16 | 4 | round |
 * | 20 | 4 | payload bytes |
 */
export const HEADER_BYTES = 24;

/** Larger WebSocket messages lose speed to the receiver's joining of chunks. */
export const MAX_DATA_FRAME_BYTES: number = 1 << 20;

/** A second frame costs a small message more than copying it behind its header does. */
export const MAX_INLINE_BYTES = 4096;

const MAGIC = 0x50414f53;
const VERSION = 4;

/** What a message is; {@link FRAME_KINDS} has the meanings. */
export type FrameKind =
  | 'tensor'
  | 'offer'
  | 'want'
  | 'wanted'
  | 'credit'
  | 'ready'
  | 'goodbye'
  | 'memory'
  | 'shared'
  | 'freed';

export const FRAME_KINDS: Readonly<Record<FrameKind, number>> = {
  /** A tensor, sent within the credit that the receiver has granted; `step`, `task` and `round` say which. */
  tensor: 1,
  /** The sender has this tensor, but no credit for it. */
  offer: 2,
  /** The receiver waits for this tensor, which it was offered. */
  want: 3,
  /** A tensor that the receiver wanted; takes no credit. */
  wanted: 4,
  /** The sender of it takes so many bytes more: `task` of them. */
  credit: 5,
  /** From now on the sender answers heartbeats at once. */
  ready: 6,
  /** The sender leaves; the payload is the reason in UTF-8, empty when its work is done. */
  goodbye: 7,
  /** The sender writes tensors into shared memory of this name, once the receiver has mapped it. */
  memory: 8,
  /** A tensor in that memory; the payload says where, and then which runs of the receiver's memory the sender has read. */
  shared: 9,
  /** The sender has read what is in runs of the receiver's memory, which the payload names; 0 says that it has mapped it. */
  freed: 10,
};

/** Kinds by their number on the wire. */
const KINDS: readonly (FrameKind | undefined)[] = [
  undefined,
  'tensor',
  'offer',
  'want',
  'wanted',
  'credit',
  'ready',
  'goodbye',
  'memory',
  'shared',
  'freed',
];

/** Longest reason of a goodbye. */
export const MAX_REASON_BYTES = 2048;

/** Runs of shared memory that one message gives back, at most. */
export const MAX_FREED_RUNS = 16;

/** Of what carries no tensor, the longest payloads. */
const MAX_PAYLOAD_BYTES: Readonly<Partial<Record<FrameKind, number>>> = {
  goodbye: MAX_REASON_BYTES,
  memory: 64,
  shared: 16 + 4 * MAX_FREED_RUNS,
  freed: 4 * MAX_FREED_RUNS,
};

export interface Header {
  readonly kind: FrameKind;
  readonly step: number;
  readonly task: number;
  readonly round: number;
  readonly payloadBytes: number;
}

/** Bytes that are no header this version understands: a sentence with what, got and expected. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/** Whether a message of this kind carries a tensor; others carry little or nothing. */
export function carriesTensor(kind: FrameKind): boolean {
  return kind === 'tensor' || kind === 'wanted';
}

/** Writes a header into the first bytes of a frame. */
export function encodeHeader({ kind, step, task, round, payloadBytes }: Header, frame: Uint8Array): void {
  const view = new DataView(frame.buffer, frame.byteOffset, HEADER_BYTES);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, VERSION);
  view.setUint8(5, FRAME_KINDS[kind]);
  view.setUint16(6, 0, true);
  view.setUint32(8, step, true);
  view.setUint32(12, task, true);
  view.setUint32(16, round, true);
  view.setUint32(20, payloadBytes, true);
}

/**
 * Reads the header of a frame, which may have a payload behind it.
 * @param maxTensorBytes limit for tensors; the other kinds have their own small ones
 * @throws {WireError} for anything else; nothing is allocated for the payload before
 */
export function decodeHeader(frame: Uint8Array, maxTensorBytes: number): Header {
  if (frame.byteLength < HEADER_BYTES) {
    throw new WireError(`a header frame has ${frame.byteLength} bytes; expected at least ${HEADER_BYTES}`);
  }
  const view = new DataView(frame.buffer, frame.byteOffset, HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC) throw new WireError('a header frame does not begin with SOAP');
  if (view.getUint8(4) !== VERSION)
    throw new WireError(`the peer speaks version ${view.getUint8(4)}; expected ${VERSION}`);
  const kind = KINDS[view.getUint8(5)];
  if (kind === undefined || view.getUint16(6, true) !== 0) {
    throw new WireError(
      `a header frame has kind ${view.getUint8(5)}; expected ${Object.keys(FRAME_KINDS).join(', ')}, then zeros`,
    );
  }
  const payloadBytes = view.getUint32(20, true);
  const limit = carriesTensor(kind) ? maxTensorBytes : (MAX_PAYLOAD_BYTES[kind] ?? 0);
  if (payloadBytes > limit) {
    throw new WireError(`a ${kind} message announces ${payloadBytes} bytes; expected at most ${limit}`);
  }
  return {
    kind,
    step: view.getUint32(8, true),
    task: view.getUint32(12, true),
    round: view.getUint32(16, true),
    payloadBytes,
  };
}

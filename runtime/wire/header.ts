/**
 * The wire between two devices. A message is one header frame, then its payload in data frames of at most
 * {@link MAX_DATA_FRAME_BYTES}, nothing between them. Integers are little-endian.
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

const MAGIC = 0x50414f53;
const VERSION = 1;

/** What a message is; {@link FRAME_KINDS} has the meanings. */
export type FrameKind = 'hello' | 'proof' | 'tensor' | 'goodbye';

export const FRAME_KINDS: Readonly<Record<FrameKind, number>> = {
  /** Opens a connection: `task` is the sender's device id, the payload a nonce of 32 bytes. */
  hello: 1,
  /** Proves that the sender knows the job's token: HMAC-SHA256 of 32 bytes. */
  proof: 2,
  /** A tensor; `step`, `task` and `round` say which. */
  tensor: 3,
  /** The sender leaves; the payload is the reason in UTF-8, empty when its work is done. */
  goodbye: 4,
};

const KIND_NAMES = new Map<number, FrameKind>([
  [FRAME_KINDS.hello, 'hello'],
  [FRAME_KINDS.proof, 'proof'],
  [FRAME_KINDS.tensor, 'tensor'],
  [FRAME_KINDS.goodbye, 'goodbye'],
]);

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

/** The bytes of a header frame. */
export function encodeHeader({ kind, step, task, round, payloadBytes }: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, VERSION);
  view.setUint8(5, FRAME_KINDS[kind]);
  view.setUint32(8, step, true);
  view.setUint32(12, task, true);
  view.setUint32(16, round, true);
  view.setUint32(20, payloadBytes, true);
  return bytes;
}

/**
 * Reads a header frame.
 * @param maxPayloadBytes limit for tensors; the other kinds have their own small ones
 * @throws {WireError} for anything else; nothing is allocated for the payload before
 */
export function decodeHeader(frame: Uint8Array, maxPayloadBytes: number): Header {
  if (frame.byteLength !== HEADER_BYTES) {
    throw new WireError(`a header frame has ${frame.byteLength} bytes; expected ${HEADER_BYTES}`);
  }
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new WireError('a header frame does not begin with SOAP');
  if (view.getUint8(4) !== VERSION)
    throw new WireError(`the peer speaks version ${view.getUint8(4)}; expected ${VERSION}`);
  const kind = KIND_NAMES.get(view.getUint8(5));
  if (kind === undefined || view.getUint16(6, true) !== 0) {
    throw new WireError(`a header frame has kind ${view.getUint8(5)}; expected ${[...KIND_NAMES.values()].join(', ')}`);
  }
  const payloadBytes = view.getUint32(20, true);
  const limit = kind === 'tensor' ? maxPayloadBytes : CONTROL_PAYLOAD_LIMITS[kind];
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

const CONTROL_PAYLOAD_LIMITS = { hello: 32, proof: 32, goodbye: 4096 } as const;

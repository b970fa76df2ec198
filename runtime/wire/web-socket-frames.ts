import { MAX_DATA_FRAME_BYTES, WireError } from './header.ts';

/**
 * WebSocket frames, as far as devices use them: whole binary messages of one frame, and the control frames. Source: RFC 6455,
 * section 5.
 */
export type Opcode = keyof typeof OPCODES;

const OPCODES = { binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;
const TEXT = 0x1;

const [LAST, MASKED] = [0x80, 0x80];
const [LENGTH_16, LENGTH_64] = [126, 127];
const MAX_CONTROL_BYTES = 125;
const MASK_BYTES = 4;
/** Two bytes, eight of length, four of mask. */
const MAX_HEAD_BYTES = 14;

/**
 * The bytes before a frame's payload.
 * @param masks whether the sender is the client, whose frames have a mask: zeros, since both ends are devices, and no one between
 * them is to be kept from taking their bytes for HTTP
 */
export function frameHead(opcode: Opcode, payloadBytes: number, masks: boolean): Uint8Array {
  const lengthBytes = payloadBytes > 0xffff ? 8 : payloadBytes > MAX_CONTROL_BYTES ? 2 : 0;
  const head = new Uint8Array(2 + lengthBytes + (masks ? MASK_BYTES : 0));
  const view = new DataView(head.buffer);
  head[0] = LAST | OPCODES[opcode];
  head[1] = (masks ? MASKED : 0) | (lengthBytes === 8 ? LENGTH_64 : lengthBytes === 2 ? LENGTH_16 : payloadBytes);
  if (lengthBytes === 2) view.setUint16(2, payloadBytes);
  if (lengthBytes === 8) view.setBigUint64(2, BigInt(payloadBytes));
  return head;
}

/** What a reader finds. Each may throw a {@link WireError}, which the reader's caller gets. */
export interface FrameEvents {
  /** A binary frame begins. Returns where its payload, of so many bytes, is to be written. */
  onBinary(payloadBytes: number): Uint8Array;
  /** The last such frame is written. */
  onBinaryEnd(): void;
  onControl(opcode: Exclude<Opcode, 'binary'>, payload: Uint8Array): void;
}

/** Bytes read at once where it is not known whose they are: small messages, and the heads of large ones. */
const STAGING_BYTES = 16_384;

/** Payloads of which more is to come are read to where they stay; a rest that is shorter is read with what follows it. */
const MIN_DIRECT_BYTES = 16_384;

interface Frame {
  readonly opcode: Opcode;
  readonly target: Uint8Array;
  /** Undefined where all of it is zero. */
  readonly mask: Uint8Array | undefined;
  filled: number;
}

/**
 * Cuts the bytes of a connection into frames. It says where the bytes that come next are to be written, so that most of a
 * payload is never copied.
 */
export class FrameReader {
  readonly #masks: boolean;
  readonly #events: FrameEvents;
  readonly #staging = new Uint8Array(STAGING_BYTES);
  /** Bytes in the staging memory that are not read yet begin at 0. */
  #staged = 0;
  #frame: Frame | undefined;

  /** @param masks whether frames that come are masked: those of a client */
  constructor(masks: boolean, events: FrameEvents) {
    this.#masks = masks;
    this.#events = events;
  }

  /** Where the next bytes of the connection are to be written, as many as come. Never empty. */
  next(): Uint8Array {
    const direct = this.#direct();
    return direct === undefined
      ? this.#staging.subarray(this.#staged)
      : direct.target.subarray(direct.filled, direct.target.length);
  }

  /** Takes so many bytes that were written to {@link next}. @throws {WireError} for what is no frame that may come */
  took(count: number): void {
    const direct = this.#direct();
    if (direct === undefined) {
      this.#staged += count;
      this.#parse();
    } else this.#fill(direct, count);
  }

  /** Takes bytes that are elsewhere. */
  take(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length;) {
      const target = this.next();
      const count = Math.min(target.length, bytes.length - start);
      target.set(bytes.subarray(start, start + count));
      this.took(count);
      start += count;
    }
  }

  /** The frame that the next bytes are for, where they are to be written into its payload. */
  #direct(): Frame | undefined {
    const frame = this.#frame;
    const isLong = frame !== undefined && frame.target.length - frame.filled >= MIN_DIRECT_BYTES;
    return this.#staged === 0 && isLong ? frame : undefined;
  }

  #parse(): void {
    let start = 0;
    for (;;) {
      const staged = this.#staging.subarray(start, this.#staged);
      if (this.#frame === undefined) {
        const headBytes = headLength(staged);
        if (headBytes === undefined || headBytes > staged.length) break;
        start += headBytes;
        this.#begin(staged.subarray(0, headBytes));
      } else {
        if (staged.length === 0) break;
        const frame = this.#frame;
        const count = Math.min(staged.length, frame.target.length - frame.filled);
        frame.target.set(staged.subarray(0, count), frame.filled);
        start += count;
        this.#fill(frame, count);
      }
    }
    this.#staging.copyWithin(0, start, this.#staged);
    this.#staged -= start;
  }

  #begin(head: Uint8Array): void {
    const { opcode, payloadBytes } = this.#decode(head);
    const mask = this.#masks ? head.slice(head.length - MASK_BYTES) : undefined;
    const target = opcode === 'binary' ? this.#events.onBinary(payloadBytes) : new Uint8Array(payloadBytes);
    const frame = { opcode, target, mask: mask?.some((byte) => byte !== 0) === true ? mask : undefined, filled: 0 };
    this.#frame = frame;
    this.#fill(frame, 0);
  }

  #decode(head: Uint8Array): { readonly opcode: Opcode; readonly payloadBytes: number } {
    const [first, second] = [head[0]!, head[1]!];
    if (first === (LAST | TEXT)) throw new WireError('it sent text; expected binary frames');
    const opcode = (['binary', 'close', 'ping', 'pong'] as const).find((each) => first === (LAST | OPCODES[each]));
    if (opcode === undefined) {
      throw new WireError(`it sent a WebSocket frame that begins with byte ${first}; expected whole binary ones`);
    }
    if ((second & MASKED) > 0 !== this.#masks) {
      throw new WireError(`it sent a WebSocket frame ${this.#masks ? 'without' : 'with'} a mask`);
    }
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    const code = second & ~MASKED;
    const payloadBytes =
      code === LENGTH_64 ? Number(view.getBigUint64(2)) : code === LENGTH_16 ? view.getUint16(2) : code;
    const limit = opcode === 'binary' ? MAX_DATA_FRAME_BYTES : MAX_CONTROL_BYTES;
    if (payloadBytes > limit) {
      throw new WireError(`it sent a WebSocket frame of ${payloadBytes} bytes; expected at most ${limit}`);
    }
    return { opcode, payloadBytes };
  }

  /** Takes note of bytes that were written to a frame's payload. */
  #fill(frame: Frame, count: number): void {
    const { opcode, target, mask, filled } = frame;
    if (mask !== undefined) for (let i = filled; i < filled + count; i++) target[i]! ^= mask[i % MASK_BYTES]!;
    frame.filled += count;
    if (frame.filled < target.length) return;
    this.#frame = undefined;
    if (opcode === 'binary') this.#events.onBinaryEnd();
    else this.#events.onControl(opcode, target);
  }
}

/** Bytes of the head that begins here; undefined where that is not known yet. */
function headLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < 2) return undefined;
  const code = bytes[1]! & ~MASKED;
  const lengthBytes = code === LENGTH_64 ? 8 : code === LENGTH_16 ? 2 : 0;
  return Math.min(MAX_HEAD_BYTES, 2 + lengthBytes + ((bytes[1]! & MASKED) > 0 ? MASK_BYTES : 0));
}

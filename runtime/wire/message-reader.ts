import type { Header } from './header.ts';
import { decodeHeader, HEADER_BYTES, MAX_DATA_FRAME_BYTES, MAX_INLINE_BYTES, WireError } from './header.ts';

/** A whole message. The payload's buffer belongs to whoever takes it and begins at a multiple of 8 bytes. */
export interface Message extends Header {
  readonly payload: Uint8Array;
}

/** What a reader asks before it makes room for a payload. */
export interface ReaderOptions {
  readonly maxTensorBytes: number;
  /** @throws {Error} for a message that must not come now */
  admit(header: Header): void;
}

const ALIGNMENT = 8;

/** Puts the frames of one connection together to messages. A frame that is all of a payload becomes it without a copy. */
export class MessageReader {
  readonly #options: ReaderOptions;
  #header: Header | undefined;
  #payload: Uint8Array | undefined;
  #filled = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** Whether a message has begun and is not complete. */
  get inMessage(): boolean {
    return this.#header !== undefined;
  }

  /**
   * Takes the next frame, whose buffer becomes the reader's.
   * @returns the message that it completes, if any
   * @throws {WireError} for a frame that does not belong here
   */
  take(frame: Uint8Array): Message | undefined {
    return this.#header === undefined ? this.#begin(frame) : this.#continue(this.#header, frame);
  }

  #begin(frame: Uint8Array): Message | undefined {
    const header = decodeHeader(frame, this.#options.maxTensorBytes);
    const inline = header.payloadBytes <= MAX_INLINE_BYTES;
    const expected = HEADER_BYTES + (inline ? header.payloadBytes : 0);
    if (frame.byteLength !== expected) {
      throw new WireError(`a ${header.kind} frame has ${frame.byteLength} bytes; expected ${expected}`);
    }
    this.#options.admit(header);
    if (inline) return { ...header, payload: aligned(frame.subarray(HEADER_BYTES)) };
    this.#header = header;
    this.#filled = 0;
    return undefined;
  }

  #continue(header: Header, frame: Uint8Array): Message | undefined {
    const expected = Math.min(MAX_DATA_FRAME_BYTES, header.payloadBytes - this.#filled);
    if (frame.byteLength !== expected) {
      throw new WireError(`a data frame has ${frame.byteLength} bytes; expected ${expected}`);
    }
    if (header.payloadBytes === expected) this.#payload = aligned(frame);
    else {
      // Every byte of it is written below before anyone sees it.
      this.#payload ??= Buffer.allocUnsafeSlow(header.payloadBytes);
      this.#payload.set(frame, this.#filled);
    }
    this.#filled += frame.byteLength;
    if (this.#filled < header.payloadBytes) return undefined;
    const message = { ...header, payload: this.#payload };
    this.#header = undefined;
    this.#payload = undefined;
    return message;
  }
}

function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % ALIGNMENT === 0 ? bytes : new Uint8Array(bytes);
}

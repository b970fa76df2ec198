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
  /**
   * Memory for the payload of a message that has frames of its own. It is the message's, so it begins at a multiple of 8 bytes
   * unless its taker asked for it itself. It is written before it is read.
   */
  allocate(header: Header): Uint8Array;
}

const MAX_HEADER_FRAME_BYTES = HEADER_BYTES + MAX_INLINE_BYTES;

/** Puts the frames of one connection together to messages, whose payloads are written once, where they stay. */
export class MessageReader {
  readonly #options: ReaderOptions;
  /** Where header frames are written. */
  readonly #first = new Uint8Array(MAX_HEADER_FRAME_BYTES);
  #header: Header | undefined;
  #payload: Uint8Array = new Uint8Array();
  /** Of the payload, bytes of frames that are complete. */
  #filled = 0;
  #frameBytes = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** Whether a message has begun and is not complete. */
  get inMessage(): boolean {
    return this.#header !== undefined;
  }

  /**
   * Where the next frame, of so many bytes, is to be written.
   * @throws {WireError} for a frame that does not belong here
   */
  room(frameBytes: number): Uint8Array {
    this.#frameBytes = frameBytes;
    if (this.#header === undefined) {
      if (frameBytes <= MAX_HEADER_FRAME_BYTES) return this.#first.subarray(0, frameBytes);
      throw new WireError(`a header frame has ${frameBytes} bytes; expected at most ${MAX_HEADER_FRAME_BYTES}`);
    }
    const expected = Math.min(MAX_DATA_FRAME_BYTES, this.#header.payloadBytes - this.#filled);
    if (frameBytes !== expected) throw new WireError(`a data frame has ${frameBytes} bytes; expected ${expected}`);
    return this.#payload.subarray(this.#filled, this.#filled + frameBytes);
  }

  /**
   * Takes the frame that was written to {@link room}.
   * @returns the message that it completes, if any
   * @throws {WireError} for a frame that does not belong here
   */
  filled(): Message | undefined {
    return this.#header === undefined
      ? this.#begin(this.#first.subarray(0, this.#frameBytes))
      : this.#continue(this.#header);
  }

  /** Both, for a frame that is elsewhere. */
  take(frame: Uint8Array): Message | undefined {
    this.room(frame.byteLength).set(frame);
    return this.filled();
  }

  #begin(frame: Uint8Array): Message | undefined {
    const header = decodeHeader(frame, this.#options.maxTensorBytes);
    const inline = header.payloadBytes <= MAX_INLINE_BYTES;
    const expected = HEADER_BYTES + (inline ? header.payloadBytes : 0);
    if (frame.byteLength !== expected) {
      throw new WireError(`a ${header.kind} frame has ${frame.byteLength} bytes; expected ${expected}`);
    }
    this.#options.admit(header);
    if (inline) return { ...header, payload: frame.slice(HEADER_BYTES) };
    this.#payload = this.#options.allocate(header);
    this.#header = header;
    this.#filled = 0;
    return undefined;
  }

  #continue(header: Header): Message | undefined {
    this.#filled += this.#frameBytes;
    if (this.#filled < header.payloadBytes) return undefined;
    const message = { ...header, payload: this.#payload };
    this.#header = undefined;
    this.#payload = new Uint8Array();
    return message;
  }
}

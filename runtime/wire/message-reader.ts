import type { Header } from './header.ts';
import { decodeHeader, WireError } from './header.ts';

/** A whole message. The payload's buffer belongs to whoever takes it. */
export interface Message extends Header {
  readonly payload: Uint8Array;
}

/** Puts the frames of one connection together to messages. */
export class MessageReader {
  readonly #maxPayloadBytes: number;
  #header: Header | undefined;
  #payload = new Uint8Array();
  #filled = 0;

  constructor(maxPayloadBytes: number) {
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  /**
   * Takes the next frame.
   * @returns the message that it completes, if any
   * @throws {WireError} for a frame that does not belong here
   */
  take(frame: Uint8Array): Message | undefined {
    if (this.#header === undefined) {
      this.#header = decodeHeader(frame, this.#maxPayloadBytes);
      this.#payload = new Uint8Array(this.#header.payloadBytes);
      this.#filled = 0;
    } else {
      if (frame.byteLength === 0 || this.#filled + frame.byteLength > this.#payload.byteLength) {
        throw new WireError(
          `a data frame has ${frame.byteLength} bytes; expected 1 to ${this.#payload.byteLength - this.#filled}`,
        );
      }
      this.#payload.set(frame, this.#filled);
      this.#filled += frame.byteLength;
    }
    if (this.#filled < this.#payload.byteLength) return undefined;
    const message = { ...this.#header, payload: this.#payload };
    this.#header = undefined;
    return message;
  }
}

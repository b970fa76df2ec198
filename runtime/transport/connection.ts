import type { RawData, WebSocket } from 'ws';
import type { FrameKind } from '../wire/header.ts';
import { encodeHeader, MAX_DATA_FRAME_BYTES } from '../wire/header.ts';
import type { Message } from '../wire/message-reader.ts';
import { MessageReader } from '../wire/message-reader.ts';
import type { MessageTag } from './transport.ts';

const HEARTBEAT_MS = 1000;
/** A peer that says nothing for so long is taken for dead. */
const SILENCE_MS = 4000;

/** What a connection reports. */
export interface ConnectionEvents {
  onMessage(message: Message): void;
  /** Once. @param reason a sentence */
  onEnd(reason: string): void;
}

/** Messages over one WebSocket, either end, with a heartbeat. */
export class Connection {
  readonly #socket: WebSocket;
  readonly #events: ConnectionEvents;
  readonly #reader: MessageReader;
  readonly #heartbeat: NodeJS.Timeout;
  #lastHeardMs = performance.now();
  #ended = false;

  constructor(socket: WebSocket, maxPayloadBytes: number, events: ConnectionEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#reader = new MessageReader(maxPayloadBytes);
    socket.binaryType = 'nodebuffer';
    socket.on('message', (data: RawData, isBinary: boolean) => this.#frame(data, isBinary));
    socket.on('ping', () => (this.#lastHeardMs = performance.now()));
    socket.on('pong', () => (this.#lastHeardMs = performance.now()));
    socket.on('error', (error) => this.end(error.message));
    socket.on('close', () => this.end('it closed the connection'));
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  /** Resolves when the bytes are handed to the operating system. */
  send(kind: FrameKind, tag: MessageTag, payload: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error | null): void => (error ? reject(error) : resolve());
      const empty = payload.byteLength === 0;
      this.#socket.send(encodeHeader({ kind, ...tag, payloadBytes: payload.byteLength }), empty ? done : undefined);
      for (let start = 0; start < payload.byteLength; start += MAX_DATA_FRAME_BYTES) {
        const frame = payload.subarray(start, start + MAX_DATA_FRAME_BYTES);
        const last = start + MAX_DATA_FRAME_BYTES >= payload.byteLength;
        this.#socket.send(frame, last ? done : undefined);
      }
    });
  }

  /** Says goodbye and closes once everything sent has left; `onEnd` follows. */
  leave(): void {
    this.send('goodbye', { step: 0, task: 0, round: 0 }, new Uint8Array()).catch(() => undefined);
    this.#socket.close();
  }

  /** Ends the connection at once; idempotent. */
  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#heartbeat);
    this.#socket.terminate();
    this.#events.onEnd(reason);
  }

  #frame(data: RawData, isBinary: boolean): void {
    this.#lastHeardMs = performance.now();
    if (this.#ended) return;
    try {
      if (!isBinary || !(data instanceof Uint8Array)) throw new Error('it sent text; expected binary frames');
      const message = this.#reader.take(data);
      if (message !== undefined) this.#events.onMessage(message);
    } catch (error) {
      this.end(error instanceof Error ? error.message : String(error));
    }
  }

  #beat(): void {
    const silentMs = performance.now() - this.#lastHeardMs;
    if (silentMs > SILENCE_MS) this.end(`it has not answered for ${(silentMs / 1000).toFixed(0)} s`);
    else if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }
}

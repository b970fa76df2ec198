import type { RawData, WebSocket } from 'ws';
import type { FrameKind, Header } from '../wire/header.ts';
import { encodeHeader, HEADER_BYTES, MAX_DATA_FRAME_BYTES, MAX_INLINE_BYTES } from '../wire/header.ts';
import { MessageReader } from '../wire/message-reader.ts';
import type { Link, LinkEvents } from './link.ts';
import type { MessageTag } from './transport.ts';

const BEAT_MS = 250;
/** A peer that has said it is ready and then says nothing for so many beats is taken for stopped. */
const SILENT_BEATS = 12;
const MAX_TENSOR_BYTES = 2 ** 31;

/**
 * A link over one WebSocket, either end, with heartbeats. A process that computes answers them, since kernels run off the
 * JavaScript thread; one that is stopped does not.
 */
export class WebSocketLink implements Link {
  readonly #socket: WebSocket;
  readonly #patienceMs: number;
  readonly #reader: MessageReader;
  readonly #heartbeat: NodeJS.Timeout;
  #events: LinkEvents | undefined;
  /** Beats since the peer was last heard. Beats and not time: those that this thread itself slept through do not count. */
  #silentBeats = 0;
  #peerReady = false;
  #ended = false;

  /** @param patienceMs how long the peer may be silent before it is ready */
  constructor(socket: WebSocket, patienceMs: number) {
    this.#socket = socket;
    this.#patienceMs = patienceMs;
    this.#reader = new MessageReader({
      maxTensorBytes: MAX_TENSOR_BYTES,
      admit: (header: Header) => this.#events?.admit(header),
    });
    socket.binaryType = 'nodebuffer';
    socket.on('message', (data: RawData, isBinary: boolean) => this.#frame(data, isBinary));
    const heard = (): void => void (this.#silentBeats = 0);
    socket.on('ping', heard).on('pong', heard);
    socket.on('error', (error) => this.end(reasonOf(error)));
    socket.on('close', () =>
      this.end(`it closed the connection${this.#reader.inMessage ? ' in the middle of a message' : ''}`),
    );
    this.#heartbeat = setInterval(() => this.#beat(), BEAT_MS);
  }

  /** Takes who hears of messages, before the first can come. */
  attach(events: LinkEvents): this {
    this.#events = events;
    return this;
  }

  send(kind: FrameKind, tag: MessageTag, payload: Uint8Array): Promise<void> {
    const { byteLength } = payload;
    const inline = byteLength <= MAX_INLINE_BYTES;
    const first = new Uint8Array(HEADER_BYTES + (inline ? byteLength : 0));
    encodeHeader({ ...tag, kind, payloadBytes: byteLength }, first);
    if (inline) first.set(payload, HEADER_BYTES);
    return new Promise((resolve, reject) => {
      const done = (error?: Error | null): void =>
        error ? reject(new Error(reasonOf(error), { cause: error })) : resolve();
      this.#socket.send(first, inline ? done : undefined);
      if (inline) return;
      for (let start = 0; start < byteLength; start += MAX_DATA_FRAME_BYTES) {
        const end = Math.min(byteLength, start + MAX_DATA_FRAME_BYTES);
        this.#socket.send(payload.subarray(start, end), end === byteLength ? done : undefined);
      }
    });
  }

  leave(): void {
    this.#socket.close();
  }

  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#heartbeat);
    this.#socket.terminate();
    this.#events?.onEnd(reason);
  }

  #frame(data: RawData, isBinary: boolean): void {
    this.#silentBeats = 0;
    if (this.#ended) return;
    try {
      if (!isBinary || !(data instanceof Uint8Array)) throw new Error('it sent text; expected binary frames');
      const message = this.#reader.take(data);
      if (message?.kind === 'ready') this.#peerReady = true;
      if (message !== undefined) this.#events?.onMessage(message);
    } catch (error) {
      this.end(error instanceof Error ? error.message : String(error));
    }
  }

  #beat(): void {
    this.#silentBeats += 1;
    const limit = this.#peerReady ? SILENT_BEATS : Math.max(SILENT_BEATS, this.#patienceMs / BEAT_MS);
    if (this.#silentBeats > limit) {
      this.end(`it has not answered for ${((this.#silentBeats * BEAT_MS) / 1000).toFixed(0)} s: stopped, or cut off`);
    } else if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }
}

/** How a peer that is gone shows at the next write or read. */
const GONE: readonly string[] = ['EPIPE', 'ECONNRESET', 'ECONNABORTED'];

function reasonOf(error: Error): string {
  const isGone =
    ('code' in error && GONE.includes(String(error.code))) || error.message.startsWith('WebSocket is not open');
  return `${isGone ? 'it closed the connection' : 'its connection failed'} (${error.message})`;
}

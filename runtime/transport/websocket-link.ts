import type { Duplex } from 'node:stream';
import { MAX_MESSAGE_BYTES } from '../../soap/tasks/message-limit.ts';
import type { FrameKind, Header } from '../wire/header.ts';
import { encodeHeader, HEADER_BYTES, MAX_DATA_FRAME_BYTES, MAX_INLINE_BYTES } from '../wire/header.ts';
import { MessageReader } from '../wire/message-reader.ts';
import type { Opcode } from '../wire/web-socket-frames.ts';
import { frameHead, FrameReader } from '../wire/web-socket-frames.ts';
import { BufferPool } from './buffer-pool.ts';
import type { ByteTaker } from './direct-socket.ts';
import { readDirectly } from './direct-socket.ts';
import type { Link, LinkEvents } from './link.ts';
import { NO_BYTES } from './link.ts';
import { isAtWork, Silence } from './silence.ts';
import type { MessageTag } from './transport.ts';
import type { Upgraded } from './upgrade.ts';
import { messageOf } from '../../soap/message-of.ts';

const BEAT_MS = 250;
const PID_BYTES = 4;
const OWN_PID = new Uint8Array(PID_BYTES);
new DataView(OWN_PID.buffer).setUint32(0, process.pid);

export interface WebSocketLinkOptions {
  /** How long the peer may be silent before it is ready. */
  readonly patienceMs: number;
  /** Whether the peer is a process of this machine. */
  readonly isNear: boolean;
}

/**
 * A link over one WebSocket, either end, with heartbeats, which carry the id of their process. A process that computes answers
 * them, since kernels run off the JavaScript thread; one that is stopped does not.
 */
export class WebSocketLink implements Link {
  readonly #upgraded: Upgraded;
  readonly #silence: Silence;
  readonly #pool = new BufferPool();
  readonly #messages: MessageReader;
  readonly #frames: FrameReader;
  #socket: Duplex;
  #heartbeat: NodeJS.Timeout | undefined;
  #events: LinkEvents | undefined;
  /** Of a peer of this machine, once its first word has come. */
  #peerPid: number | undefined;
  /** Memory of the taker of the message that comes now. */
  #placed: Uint8Array | undefined;
  #leaves = false;
  #ended = false;

  constructor(upgraded: Upgraded, { patienceMs, isNear }: WebSocketLinkOptions) {
    this.#upgraded = upgraded;
    this.#socket = upgraded.socket;
    this.#silence = new Silence({
      startBeats: patienceMs / BEAT_MS,
      isAtWork: () => isNear && this.#peerPid !== undefined && isAtWork(this.#peerPid),
    });
    this.#messages = new MessageReader({
      maxTensorBytes: MAX_MESSAGE_BYTES,
      admit: (header: Header) => this.#events?.admit(header),
      allocate: (header) => this.#allocate(header),
    });
    this.#frames = new FrameReader(!upgraded.isClient, {
      onBinary: (payloadBytes) => this.#messages.room(payloadBytes),
      onBinaryEnd: () => this.#message(),
      onControl: (opcode, payload) => this.#control(opcode, payload),
    });
  }

  /** Takes who hears of messages, and reads what comes. */
  attach(events: LinkEvents): this {
    this.#events = events;
    const { socket, head } = this.#upgraded;
    const taker: ByteTaker = { next: () => this.#frames.next(), took: (count) => this.#took(count) };
    // Who attaches must have the link before it hears of the first message, which may be in the head.
    this.#socket = readDirectly(socket, taker, head);
    this.#socket.on('error', (error) => this.end(reasonOf(error)));
    this.#socket.on('close', () =>
      this.end(`it closed the connection${this.#messages.inMessage ? ' in the middle of a message' : ''}`),
    );
    // Whose process this is, the peer knows from now on: this thread may be busy before its first beat.
    this.#write('ping', OWN_PID);
    this.#heartbeat = setInterval(() => this.#beat(), BEAT_MS);
    return this;
  }

  send(kind: FrameKind, tag: MessageTag, payload: Uint8Array): Promise<void> {
    const { byteLength } = payload;
    if (byteLength > MAX_MESSAGE_BYTES) return Promise.reject(new RangeError(tooLarge(byteLength)));
    const header = new Uint8Array(HEADER_BYTES);
    encodeHeader({ ...tag, kind, payloadBytes: byteLength }, header);
    return new Promise((resolve, reject) => {
      const done = (error?: Error | null): void =>
        error ? reject(new Error(reasonOf(error), { cause: error })) : resolve();
      if (byteLength <= MAX_INLINE_BYTES) {
        this.#socket.write(joined(this.#head(HEADER_BYTES + byteLength), header, payload), done);
        return;
      }
      // What is written until it is uncorked leaves in one call.
      this.#socket.cork();
      let before = joined(this.#head(HEADER_BYTES), header);
      for (let start = 0; start < byteLength; start += MAX_DATA_FRAME_BYTES) {
        const end = Math.min(byteLength, start + MAX_DATA_FRAME_BYTES);
        this.#socket.write(joined(before, this.#head(end - start)));
        this.#socket.write(payload.subarray(start, end), end === byteLength ? done : undefined);
        before = NO_BYTES;
      }
      this.#socket.uncork();
    });
  }

  leave(): void {
    if (this.#leaves) return;
    this.#leaves = true;
    this.#write('close', NO_BYTES);
  }

  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#heartbeat);
    this.#socket.destroy();
    this.#events?.onEnd(reason);
  }

  #head(payloadBytes: number, opcode: Opcode = 'binary'): Uint8Array {
    return frameHead(opcode, payloadBytes, this.#upgraded.isClient);
  }

  #write(opcode: Exclude<Opcode, 'binary'>, payload: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(joined(this.#head(payload.length, opcode), payload));
  }

  #took(count: number): void {
    this.#silence.heard();
    if (this.#ended) return;
    try {
      this.#frames.took(count);
    } catch (error) {
      this.end(messageOf(error));
    }
  }

  #message(): void {
    const message = this.#messages.filled();
    if (message === undefined || this.#ended) return;
    if (message.kind === 'ready') this.#silence.ready();
    const isPlaced = message.payload === this.#placed;
    this.#placed = undefined;
    this.#events!.onMessage(isPlaced ? message : { ...message, recycle: () => this.#pool.give(message.payload) });
  }

  /** Where the taker wants the payload, or memory of the link's own. */
  #allocate(header: Header): Uint8Array {
    this.#placed = this.#events?.place(header);
    return this.#placed ?? this.#pool.take(header.payloadBytes);
  }

  #control(opcode: Exclude<Opcode, 'binary'>, payload: Uint8Array): void {
    if (opcode === 'ping') {
      if (payload.length === PID_BYTES) this.#peerPid = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
      this.#write('pong', payload);
    }
    if (opcode !== 'close') return;
    this.leave();
    this.#socket.end();
  }

  #beat(): void {
    const silentBeats = this.#silence.beat();
    if (silentBeats === undefined) this.#write('ping', OWN_PID);
    else this.end(`it has not answered for ${((silentBeats * BEAT_MS) / 1000).toFixed(0)} s: stopped, or cut off`);
  }
}

function tooLarge(bytes: number): string {
  return `a message has ${bytes} bytes; expected at most ${MAX_MESSAGE_BYTES}: choose a plan that cuts its tensor into more parts`;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  for (const part of parts) {
    whole.set(part, start);
    start += part.length;
  }
  return whole;
}

/** How a peer that is gone shows at the next write or read. */
const GONE: readonly string[] = [
  'EPIPE',
  'ECONNRESET',
  'ECONNABORTED',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
];

function reasonOf(error: Error): string {
  const isGone = 'code' in error && GONE.includes(String(error.code));
  return `${isGone ? 'it closed the connection' : 'its connection failed'} (${error.message})`;
}

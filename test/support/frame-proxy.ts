import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

const HOST = '127.0.0.1';

/** One WebSocket frame, unmasked or masked with zeros. */
export interface WebSocketFrame {
  /** The whole frame. */
  readonly bytes: Buffer;
  /** Where its payload begins. */
  readonly start: number;
}

/** Takes the next frame on its way to the callee. Returns what is sent in its place. */
export type FrameChange = (frame: WebSocketFrame) => readonly Buffer[];

/** A man in the middle of one connection. */
export interface FrameProxy {
  readonly port: number;
  /** Says where connections go on to; before the first comes. */
  forwardTo(port: number): void;
  /** From now on every frame to the callee goes through a change. */
  change(change: FrameChange): void;
  /** Destroys both sockets. */
  cut(): void;
  /** Lets nothing through any more, without a word to either side. */
  stall(): void;
  close(): void;
}

/** Listens on a port of its own. */
export async function startProxy(): Promise<FrameProxy> {
  const sockets = new Set<Socket>();
  let change: FrameChange = ({ bytes }) => [bytes];
  let stalled = false;
  let targetPort = 0;
  const server: Server = createServer((caller) => {
    const callee = connect(targetPort, HOST);
    const parser = new FrameParser();
    for (const socket of [caller, callee]) sockets.add(socket.on('error', () => undefined));
    caller.on('data', (data: Buffer) => {
      for (const each of parser.take(data)) {
        for (const bytes of 'start' in each ? change(each) : [each.bytes]) if (!stalled) callee.write(bytes);
      }
    });
    callee.on('data', (data: Buffer) => stalled || caller.write(data));
    caller.on('close', () => stalled || callee.destroy());
    callee.on('close', () => stalled || caller.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const address = server.address();
  const destroy = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    forwardTo: (port) => void (targetPort = port),
    change: (next) => void (change = next),
    cut: destroy,
    stall: () => void (stalled = true),
    close() {
      destroy();
      server.close();
    },
  };
}

/** Cuts what a caller sends into its HTTP request and WebSocket frames. */
class FrameParser {
  #buffer = Buffer.alloc(0);
  #inFrames = false;

  *take(data: Buffer): Generator<WebSocketFrame | { readonly bytes: Buffer }> {
    this.#buffer = Buffer.concat([this.#buffer, data]);
    if (!this.#inFrames) {
      const end = this.#buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.#inFrames = true;
      yield { bytes: this.#consume(end + 4) };
    }
    for (;;) {
      const start = payloadStart(this.#buffer);
      const length = start === undefined ? undefined : payloadLength(this.#buffer);
      if (start === undefined || length === undefined || this.#buffer.length < start + length) return;
      yield { bytes: this.#consume(start + length), start };
    }
  }

  #consume(length: number): Buffer {
    const taken = Buffer.from(this.#buffer.subarray(0, length));
    this.#buffer = this.#buffer.subarray(length);
    return taken;
  }
}

/** RFC 6455, 5.2: two bytes, then 0, 2 or 8 bytes of length, then 4 of the mask. */
function payloadStart(buffer: Buffer): number | undefined {
  if (buffer.length < 2) return undefined;
  const code = buffer[1]! & 0x7f;
  const masked = (buffer[1]! & 0x80) > 0;
  const start = 2 + (code === 127 ? 8 : code === 126 ? 2 : 0) + (masked ? 4 : 0);
  return buffer.length < start ? undefined : start;
}

function payloadLength(buffer: Buffer): number {
  const code = buffer[1]! & 0x7f;
  if (code === 126) return buffer.readUInt16BE(2);
  return code === 127 ? Number(buffer.readBigUInt64BE(2)) : code;
}

/** A binary frame of a caller around a payload. */
export function webSocketFrame(payload: Uint8Array, announcedBytes: number = payload.length): Buffer {
  const head = Buffer.alloc(14);
  head[0] = 0x82;
  head[1] = 0x80 | 127;
  head.writeBigUInt64BE(BigInt(announcedBytes), 2);
  return Buffer.concat([head, payload]);
}

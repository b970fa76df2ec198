import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { readDirectly } from '../../runtime/transport/direct-socket.ts';
import { HOST, MIB } from './orders.ts';

/**
 * Plain TCP sockets from each process to the next: what the transport is measured against. Bytes are read as the transport reads
 * them, a MiB at once into memory that is used again, which is much faster than a stream's chunks.
 */
export class RawRing {
  readonly #server: Server;
  readonly #next: Socket;
  readonly #previous: Duplex;
  readonly #payload = new Uint8Array(new SharedArrayBuffer(MIB));
  /** Bytes that came and were not taken yet; below zero while they are waited for. */
  #surplus = 0;
  #onBytes: () => void = () => undefined;
  #onEcho: () => void = () => undefined;

  constructor(server: Server, next: Socket, previous: Socket) {
    this.#server = server;
    this.#next = next;
    for (const socket of [next, previous]) socket.setNoDelay(true).on('error', () => undefined);
    const memory = new Uint8Array(MIB);
    this.#previous = readDirectly(previous, {
      next: () => memory,
      took: (count) => {
        this.#surplus += count;
        if (this.#surplus >= 0) this.#onBytes();
      },
    }).on('error', () => undefined);
    next.on('data', () => this.#onEcho());
  }

  static async join(self: number, ports: readonly number[]): Promise<RawRing> {
    const previous = Promise.withResolvers<Socket>();
    const server = createServer((socket) => previous.resolve(socket)).listen(ports[self], HOST);
    const port = ports[(self + 1) % ports.length]!;
    let next: Socket | undefined;
    while (next === undefined) {
      next = await attempt(port);
      if (next === undefined) await sleep(50);
    }
    return new RawRing(server, next, await previous.promise);
  }

  /** Hands so many MiB to the next, one write each. */
  async send(messages: number): Promise<void> {
    const writes = Array.from(
      { length: messages },
      () => new Promise<void>((resolve) => this.#next.write(this.#payload, () => resolve())),
    );
    await Promise.all(writes);
  }

  /** Waits for so many bytes of the one before. */
  take(bytes: number): Promise<void> {
    this.#surplus -= bytes;
    return new Promise((resolve) => {
      this.#onBytes = resolve;
      if (this.#surplus >= 0) resolve();
    });
  }

  /** Sends 4 bytes to the next and waits for them. */
  ping(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEcho = resolve;
      this.#next.write(this.#payload.subarray(0, 4));
    });
  }

  /** Waits for 4 bytes of the one before and sends them back. */
  async pong(): Promise<void> {
    await this.take(4);
    this.#previous.write(this.#payload.subarray(0, 4));
  }

  close(): void {
    this.#next.destroy();
    this.#previous.destroy();
    this.#server.close();
  }
}

function attempt(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

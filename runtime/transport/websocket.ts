import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import type { Message } from '../wire/message-reader.ts';
import { HEADER_BYTES, MAX_DATA_FRAME_BYTES } from '../wire/header.ts';
import { Connection } from './connection.ts';
import { Handshake } from './handshake.ts';
import type { Identity } from './handshake.ts';
import { Inbox } from './inbox.ts';
import type { MessageTag, PeerTraffic, Transport } from './transport.ts';
import { PeerError } from './transport.ts';

const RETRY_MS = 100;
const LEAVE_TIMEOUT_MS = 1000;
const LEAVE_POLL_MS = 10;
const MAX_MESSAGE_BYTES = 2 ** 31;
const MAX_INBOX_BYTES = 2 ** 32;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface WebSocketTransportOptions extends Identity {
  /** Every other device of the job. */
  readonly peers: ReadonlyMap<number, Address>;
  readonly listen: Address;
  /** How long peers may take to come up. */
  readonly connectTimeoutMs: number;
}

/**
 * Connects a device with all its peers, one WebSocket for each pair: a device calls the peers of higher id and is called by
 * those of lower. Resolves when every peer has proved that it knows the token.
 * @throws {PeerError} naming the peer that did not come in time
 * @throws {Error} where the port is taken
 */
export async function connectWebSocketTransport(options: WebSocketTransportOptions): Promise<Transport> {
  const transport = new WebSocketTransport(options);
  try {
    await transport.open();
    return transport;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

class WebSocketTransport implements Transport {
  readonly self: number;
  readonly #options: WebSocketTransportOptions;
  readonly #inbox = new Inbox(MAX_INBOX_BYTES);
  readonly #connections = new Map<number, Connection>();
  readonly #lost = new Map<number, PeerError>();
  readonly #traffic = new Map<number, { sentBytes: number; receivedBytes: number }>();
  readonly #left = new Set<number>();
  #server: WebSocketServer | undefined;
  #arrived: () => void = () => undefined;
  #refused: string | undefined;
  #closed = false;

  constructor(options: WebSocketTransportOptions) {
    this.self = options.self;
    this.#options = options;
    for (const peer of options.peers.keys()) this.#traffic.set(peer, { sentBytes: 0, receivedBytes: 0 });
  }

  async open(): Promise<void> {
    const { peers, connectTimeoutMs } = this.#options;
    this.#server = await listen(this.#options.listen);
    this.#server.on('connection', (socket) => this.#greet(socket));
    const deadline = performance.now() + connectTimeoutMs;
    const callees = [...peers].filter(([peer]) => peer > this.self);
    const calls = callees.map(([peer, address]) => this.#call(peer, address, deadline));
    await Promise.all([...calls, this.#allArrived(deadline)]);
  }

  async send(peer: number, tag: MessageTag, payload: Uint8Array): Promise<void> {
    const connection = this.#connections.get(peer);
    if (connection === undefined) throw this.#lost.get(peer) ?? new PeerError(peer, `device ${peer} is not connected`);
    this.#traffic.get(peer)!.sentBytes += payload.byteLength;
    try {
      await connection.send('tensor', tag, payload);
    } catch (error) {
      throw (
        this.#lost.get(peer) ?? new PeerError(peer, `device ${peer} is lost: ${messageOf(error)}`, { cause: error })
      );
    }
  }

  receive(peer: number, tag: MessageTag): Promise<Uint8Array> {
    return this.#inbox.take(peer, tag);
  }

  traffic(): ReadonlyMap<number, PeerTraffic> {
    return this.#traffic;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const connection of this.#connections.values()) connection.leave();
    for (let waitedMs = 0; this.#connections.size > 0 && waitedMs < LEAVE_TIMEOUT_MS; waitedMs += LEAVE_POLL_MS) {
      await sleep(LEAVE_POLL_MS);
    }
    for (const connection of this.#connections.values()) connection.end('this device has left');
    this.#server?.close();
    for (const client of this.#server?.clients ?? []) client.terminate();
  }

  async #call(peer: number, { host, port }: Address, deadline: number): Promise<void> {
    const url = `ws://${host.includes(':') ? `[${host}]` : host}:${port}`;
    let reason = 'it was not called';
    while (performance.now() < deadline && !this.#closed) {
      // A mask of zeros: both ends are ours, and masking costs more than the copy itself.
      const socket = new WebSocket(url, {
        perMessageDeflate: false,
        generateMask: () => undefined,
        maxPayload: MAX_FRAME,
      });
      const failure = await openSocket(socket, () => this.#greet(socket));
      if (failure === undefined) return;
      reason = failure;
      await sleep(RETRY_MS);
    }
    throw new PeerError(peer, `device ${peer} did not answer at ${host}:${port} (${reason}); see why it did not start`);
  }

  /** Runs the handshake on a new connection; a peer that proves itself becomes reachable. */
  #greet(socket: WebSocket): void {
    let peer: number | undefined;
    const connection = new Connection(socket, MAX_MESSAGE_BYTES, {
      onMessage: (message) => {
        if (peer !== undefined) this.#deliver(peer, message);
        else peer = this.#admit(handshake.take(message), connection);
      },
      onEnd: (reason) => {
        if (peer !== undefined) this.#lose(peer, reason);
        else this.#refused ??= reason;
      },
    });
    const handshake = new Handshake(this.#options, (kind, task, payload) => {
      connection.send(kind, { step: 0, task, round: 0 }, payload).catch(() => undefined);
    });
  }

  #admit(peer: number | undefined, connection: Connection): number | undefined {
    if (peer === undefined) return undefined;
    if (!this.#options.peers.has(peer) || this.#connections.has(peer)) {
      throw new PeerError(peer, `a second device ${peer}, or one that the job does not have, asked to join`);
    }
    this.#connections.set(peer, connection);
    this.#arrived();
    return peer;
  }

  #deliver(peer: number, message: Message): void {
    if (message.kind === 'tensor') {
      this.#traffic.get(peer)!.receivedBytes += message.payload.byteLength;
      this.#inbox.deliver(peer, message, message.payload);
    } else if (message.kind === 'goodbye') this.#left.add(peer);
    else throw new PeerError(peer, `device ${peer} sent a second ${message.kind}`);
  }

  #lose(peer: number, reason: string): void {
    const because = this.#left.has(peer) ? 'it has left' : reason;
    const error = new PeerError(peer, `device ${peer} is lost: ${because}`);
    this.#connections.delete(peer);
    this.#lost.set(peer, error);
    this.#inbox.lose(error);
  }

  #allArrived(deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const missing = (): number[] => [...this.#options.peers.keys()].filter((peer) => !this.#connections.has(peer));
      const timer = setTimeout(() => {
        const [first] = missing();
        const why = this.#refused === undefined ? '' : ` (a connection was refused: ${this.#refused})`;
        reject(
          new PeerError(first!, `device ${missing().join(', ')} did not join in time${why}; see why it did not start`),
        );
      }, deadline - performance.now());
      this.#arrived = () => {
        if (missing().length > 0) return;
        clearTimeout(timer);
        resolve();
      };
      this.#arrived();
    });
  }
}

const MAX_FRAME = Math.max(HEADER_BYTES, MAX_DATA_FRAME_BYTES);

function listen({ host, port }: Address): Promise<WebSocketServer> {
  return new Promise((resolve, reject) => {
    const server = new WebSocketServer({ host, port, perMessageDeflate: false, maxPayload: MAX_FRAME });
    server.once('listening', () => resolve(server));
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      const cure = taken ? 'another process has the port: stop it, or choose another port' : error.message;
      reject(new Error(`device cannot listen on ${host}:${port}; ${cure}`, { cause: error }));
    });
  });
}

/**
 * @param onOpen runs before the first message can be lost
 * @returns undefined when open, else why not
 */
function openSocket(socket: WebSocket, onOpen: () => void): Promise<string | undefined> {
  return new Promise((resolve) => {
    socket.once('open', () => {
      onOpen();
      resolve(undefined);
    });
    socket.once('error', (error) => resolve(error.message));
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

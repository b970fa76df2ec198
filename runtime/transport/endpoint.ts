import { setTimeout as sleep } from 'node:timers/promises';
import { Channel } from './channel.ts';
import type { Taker } from './inbox.ts';
import type { Link, LinkEvents } from './link.ts';
import type { MessageTag, PeerTraffic, Transport } from './transport.ts';
import { PeerError } from './transport.ts';
import { messageOf } from '../../soap/message-of.ts';

/**
 * What a peer may send before it is asked for, if nothing else is said: at 3 GB/s, what comes while the JavaScript thread is busy
 * for 3 ms.
 */
const WINDOW_BYTES: number = 8 * 2 ** 20;

const LEAVE_TIMEOUT_MS = 1000;
/** The same where all work is done: a peer may still be busy with the last checkpoint. */
const DONE_TIMEOUT_MS = 10_000;
const LEAVE_POLL_MS = 10;

/** One device's end of all its links: the transport. Once a peer fails, nothing goes on with any. */
export class Endpoint implements Transport {
  readonly self: number;
  readonly #windowBytes: number;
  readonly #channels = new Map<number, Channel>();
  readonly #traffic = new Map<number, { sentBytes: number; receivedBytes: number }>();
  #failure: PeerError | undefined;
  #closed = false;

  constructor(self: number, windowBytes: number = WINDOW_BYTES) {
    this.self = self;
    this.#windowBytes = windowBytes;
  }

  /** The peers that are or were linked. */
  has(peer: number): boolean {
    return this.#channels.has(peer);
  }

  /** Adds the link to a peer, and lets it send. @param connect makes it; see {@link ChannelOptions.connect} */
  join(peer: number, connect: (events: LinkEvents) => Link): void {
    const traffic = { sentBytes: 0, receivedBytes: 0 };
    const channel = new Channel({
      peer,
      windowBytes: this.#windowBytes,
      connect,
      onLost: (error, failed) => failed && this.#fail(error),
      onReceived: (bytes) => (traffic.receivedBytes += bytes),
    });
    this.#channels.set(peer, channel);
    this.#traffic.set(peer, traffic);
    channel.open();
  }

  /** Resolves when every peer that was joined lets this device send. */
  async opened(): Promise<void> {
    await Promise.all([...this.#channels.values()].map(({ outbox }) => outbox.opened));
  }

  async send(peer: number, tag: MessageTag, payload: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const channel = this.#channel(peer);
    this.#traffic.get(peer)!.sentBytes += payload.byteLength;
    try {
      await channel.outbox.send(tag, payload);
    } catch (error) {
      if (error instanceof PeerError || error instanceof RangeError) throw error;
      throw this.#failure ?? new PeerError(peer, `device ${peer} is lost: ${messageOf(error)}`, { cause: error });
    }
  }

  async receive(peer: number, tag: MessageTag, byteLength: number): Promise<Uint8Array> {
    let taken: Uint8Array | undefined;
    await this.#take(peer, tag, { byteLength, owned: true, use: (bytes) => (taken = bytes) });
    return taken!;
  }

  read(peer: number, tag: MessageTag, byteLength: number, use: (bytes: Uint8Array) => void): Promise<void> {
    return this.#take(peer, tag, { byteLength, owned: false, use });
  }

  fill(peer: number, tag: MessageTag, target: Uint8Array): Promise<void> {
    const { byteLength } = target;
    return this.#take(peer, tag, { byteLength, owned: false, target, use: (bytes) => target.set(bytes) });
  }

  ready(): void {
    for (const channel of this.#channels.values()) channel.ready();
  }

  traffic(): ReadonlyMap<number, PeerTraffic> {
    return new Map(
      [...this.#traffic].map(([peer, totals]) => [
        peer,
        { ...totals, heldBytes: this.#channels.get(peer)!.inbox.heldBytes },
      ]),
    );
  }

  async close(reason: string = ''): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const channels = [...this.#channels.values()];
    for (const channel of channels) channel.leave(reason && `device ${this.self} has left: ${reason}`);
    const limitMs = reason === '' ? DONE_TIMEOUT_MS : LEAVE_TIMEOUT_MS;
    for (let waitedMs = 0; waitedMs < limitMs; waitedMs += LEAVE_POLL_MS) {
      if (channels.every(({ ended }) => ended)) break;
      await sleep(LEAVE_POLL_MS);
    }
    for (const channel of channels) channel.end('this device has left');
  }

  #take(peer: number, tag: MessageTag, taker: Taker): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return this.#channel(peer).inbox.take(tag, taker);
  }

  #channel(peer: number): Channel {
    const channel = this.#channels.get(peer);
    if (channel === undefined) throw new PeerError(peer, `device ${peer} is not connected`);
    return channel;
  }

  /** Whatever waits for any peer fails with what happened first; the peers hear it too. */
  #fail(error: PeerError): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#failure = error;
    for (const { inbox, outbox } of this.#channels.values()) {
      inbox.lose(error);
      outbox.lose(error);
    }
    for (const channel of this.#channels.values()) channel.leave(error.origin);
  }
}

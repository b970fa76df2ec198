import type { Header } from '../wire/header.ts';
import { carriesTensor, MAX_REASON_BYTES, WireError } from '../wire/header.ts';
import { Inbox } from './inbox.ts';
import type { Delivery, Link, LinkEvents } from './link.ts';
import { NO_BYTES, NO_TAG } from './link.ts';
import { Outbox } from './outbox.ts';
import type { MessageTag } from './transport.ts';
import { PeerError } from './transport.ts';

export interface ChannelOptions {
  readonly peer: number;
  /** What the peer may send unasked. */
  readonly windowBytes: number;
  /** Makes the link, whose events are the channel's. It must not report any before it is returned. */
  connect(events: LinkEvents): Link;
  /**
   * Called once, when nothing more will come.
   * @param failed whether the peer's work was not done
   */
  onLost(error: PeerError, failed: boolean): void;
  /** Called for each tensor that came. */
  onReceived(bytes: number): void;
}

/** Everything between this device and one peer. */
export class Channel implements LinkEvents {
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly #options: ChannelOptions;
  readonly #link: Link;
  /** Why the peer said that it leaves, its own end or what it heard of another's; empty where its work is done. */
  #goodbye: string | undefined;
  #ended = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#link = options.connect(this);
    this.outbox = new Outbox(this.#link);
    this.inbox = new Inbox(options.peer, options.windowBytes, (kind, tag) => this.#say(kind, tag));
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Lets the peer send. */
  open(): void {
    this.inbox.open();
  }

  ready(): void {
    this.#say('ready', NO_TAG);
  }

  /** Says goodbye and closes once everything sent has left. */
  leave(reason: string): void {
    if (this.#ended) return;
    const bytes = new TextEncoder().encode(reason).subarray(0, MAX_REASON_BYTES);
    this.#link.send('goodbye', NO_TAG, bytes).catch(() => undefined);
    this.#link.leave();
  }

  end(reason: string): void {
    this.#link.end(reason);
  }

  admit(header: Header): void {
    if (carriesTensor(header.kind)) this.inbox.admit(header);
  }

  place(header: Header): Uint8Array | undefined {
    return carriesTensor(header.kind) ? this.inbox.place(header) : undefined;
  }

  onMessage(message: Delivery): void {
    if (this.#goodbye !== undefined) throw new WireError(`it sent a ${message.kind} message after its goodbye`);
    switch (message.kind) {
      case 'tensor':
      case 'wanted':
        this.#options.onReceived(message.payload.byteLength);
        return this.inbox.deliver(message);
      case 'offer':
        return this.inbox.offer(message);
      case 'want':
        return this.outbox.wanted(message);
      case 'credit':
        return this.outbox.credited(message.task);
      case 'goodbye':
        this.#goodbye = new TextDecoder().decode(message.payload);
        return;
      case 'ready':
      // Memory that this end does not map is not written to.
      case 'memory':
        return;
      case 'shared':
      case 'freed':
        throw new WireError('it speaks of shared memory, of which this device has none');
    }
  }

  onEnd(reason: string): void {
    this.#ended = true;
    const { peer } = this.#options;
    const how = this.#goodbye === undefined ? `is lost: ${reason}` : 'has left';
    const error = this.#goodbye ? heardFrom(peer, this.#goodbye) : new PeerError(peer, `device ${peer} ${how}`);
    this.inbox.lose(error);
    this.outbox.lose(error);
    this.#options.onLost(error, this.#goodbye !== '');
  }

  #say(kind: 'want' | 'credit' | 'ready', tag: MessageTag): void {
    // A link that has ended reports it by itself.
    this.#link.send(kind, tag, NO_BYTES).catch(() => undefined);
  }
}

/** The error of a peer that leaves with a reason: its own, or what happened to another. */
function heardFrom(peer: number, goodbye: string): PeerError {
  const own = goodbye.startsWith(`device ${peer} `);
  return new PeerError(peer, own ? goodbye : `${goodbye} (heard from device ${peer})`, { origin: goodbye });
}

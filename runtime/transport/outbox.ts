import { WireError } from '../wire/header.ts';
import { keyOf, MAX_OFFERS, MESSAGE_OVERHEAD_BYTES } from './inbox.ts';
import type { Link } from './link.ts';
import { NO_BYTES } from './link.ts';
import type { MessageTag, PeerError } from './transport.ts';

/**
 * How long a message waits for credit before it is offered. While credit keeps coming back, none is, which saves an offer and its
 * answer for each.
 */
const OFFER_DELAY_MS = 1;

interface Letter {
  readonly tag: MessageTag;
  readonly payload: Uint8Array;
  readonly cost: number;
  readonly resolve: (sent: Promise<void>) => void;
  readonly reject: (error: Error) => void;
}

/** Messages to one peer: sent while its credit lasts, else offered and sent once it wants them, in any order. */
export class Outbox {
  readonly #link: Link;
  /** What waits for credit, in order. */
  #queue: Letter[] = [];
  readonly #offers = new Map<string, Letter>();
  readonly #opened = Promise.withResolvers<void>();
  #credit = 0;
  #timer: NodeJS.Timeout | undefined;
  #lost: PeerError | undefined;

  constructor(link: Link) {
    this.#link = link;
    // Not everyone waits for it.
    this.#opened.promise.catch(() => undefined);
  }

  /** Resolves when the peer has granted its first credit. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /**
   * @throws {Error} where more messages wait for the peer than it can keep in mind
   * @throws {PeerError} when the peer is gone
   */
  async send(tag: MessageTag, payload: Uint8Array): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    const cost = payload.byteLength + MESSAGE_OVERHEAD_BYTES;
    if (this.#queue.length === 0 && cost <= this.#credit) {
      this.#credit -= cost;
      return this.#link.send('tensor', tag, payload);
    }
    if (this.#offers.size + this.#queue.length >= MAX_OFFERS) {
      throw new Error(`${MAX_OFFERS} messages wait for one device; choose a plan that cuts the model into fewer parts`);
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ tag, payload, cost, resolve, reject });
      this.#timer ??= setTimeout(() => this.#offerAll(), OFFER_DELAY_MS);
    });
  }

  /** The peer takes so many bytes more. */
  credited(bytes: number): void {
    this.#credit += bytes;
    this.#opened.resolve();
    let sent = 0;
    for (const { tag, payload, cost, resolve } of this.#queue) {
      if (cost > this.#credit) break;
      this.#credit -= cost;
      resolve(this.#link.send('tensor', tag, payload));
      sent += 1;
    }
    if (sent === 0) return;
    this.#queue = this.#queue.slice(sent);
    // It flows: what is left waits for the next credit.
    this.#timer?.refresh();
  }

  /** The peer waits for a message it was offered. @throws {WireError} where it was not */
  wanted(tag: MessageTag): void {
    const offer = this.#offers.get(keyOf(tag));
    if (offer === undefined)
      throw new WireError(`it wants step ${tag.step}, task ${tag.task}, which it was not offered`);
    this.#offers.delete(keyOf(tag));
    offer.resolve(this.#link.send('wanted', tag, offer.payload));
  }

  /** From now on nothing can be sent: what waits fails. */
  lose(error: PeerError): void {
    this.#lost ??= error;
    this.#opened.reject(error);
    clearTimeout(this.#timer);
    for (const { reject } of [...this.#queue, ...this.#offers.values()]) reject(error);
    this.#queue = [];
    this.#offers.clear();
  }

  #offerAll(): void {
    this.#timer = undefined;
    for (const letter of this.#queue) {
      this.#offers.set(keyOf(letter.tag), letter);
      // A link that has ended fails what waits by itself.
      this.#link.send('offer', letter.tag, NO_BYTES).catch(() => undefined);
    }
    this.#queue = [];
  }
}

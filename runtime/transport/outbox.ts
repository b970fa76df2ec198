import { WireError } from '../wire/header.ts';
import { keyOf, MAX_OFFERS, MESSAGE_OVERHEAD_BYTES } from './inbox.ts';
import type { Link } from './link.ts';
import { NO_BYTES } from './link.ts';
import type { MessageTag, PeerError } from './transport.ts';

interface Offer {
  readonly tag: MessageTag;
  readonly payload: Uint8Array;
  readonly resolve: (sent: Promise<void>) => void;
  readonly reject: (error: Error) => void;
}

/** Messages to one peer: sent while its credit lasts, else offered and sent once it wants them, in any order. */
export class Outbox {
  readonly #link: Link;
  readonly #offers = new Map<string, Offer>();
  readonly #opened = Promise.withResolvers<void>();
  #credit = 0;
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
    if (cost <= this.#credit) {
      this.#credit -= cost;
      return this.#link.send('tensor', tag, payload);
    }
    if (this.#offers.size >= MAX_OFFERS) {
      throw new Error(`${MAX_OFFERS} messages wait for one device; choose a plan that cuts the model into fewer parts`);
    }
    const offer = new Promise<void>((resolve, reject) => {
      this.#offers.set(keyOf(tag), { tag, payload, resolve, reject });
    });
    await Promise.all([this.#link.send('offer', tag, NO_BYTES), offer]);
  }

  /** The peer takes so many bytes more. */
  credited(bytes: number): void {
    this.#credit += bytes;
    this.#opened.resolve();
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
    for (const { reject } of this.#offers.values()) reject(error);
    this.#offers.clear();
  }
}

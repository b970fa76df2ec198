import type { Header } from '../wire/header.ts';
import { WireError } from '../wire/header.ts';
import type { Delivery } from './link.ts';
import type { MessageTag } from './transport.ts';
import { PeerError } from './transport.ts';

/** What a message takes beyond its payload, so that empty ones take credit too. */
export const MESSAGE_OVERHEAD_BYTES = 256;

/** Offers that a peer may have open: what is known of each takes memory here. */
export const MAX_OFFERS: number = 2 ** 17;

/**
 * Messages of steps that are so far behind the newest asked for are late, unless they are waited for. Who is further ahead, by up to
 * two training steps of many passes each, has asked for all that may still come: to remember every message of so many passes as well would
 * take memory without a bound.
 */
const STEPS_REMEMBERED = 16;

/** How a taker wants the bytes. */
export interface Taker {
  readonly byteLength: number;
  /** Takes the bytes, which are its own where it asked for that. @throws {Error} to fail the request */
  readonly use: (bytes: Uint8Array) => void;
  /** Whether the bytes must be its own. */
  readonly owned: boolean;
  /** Where a link may write the bytes as they come; `use` is not called then. */
  readonly target?: Uint8Array;
}

interface Waiter extends Taker {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What has come and was not asked for yet. */
interface Kept {
  readonly payload: Uint8Array;
  readonly cost: number;
  readonly release?: () => void;
  readonly recycle?: () => void;
}

/** Sends word to the peer. */
export type Reply = (kind: 'want' | 'credit', tag: MessageTag) => void;

/**
 * Messages of one peer that have come but were not asked for yet, and requests whose message has not come yet. Grants the peer
 * credit for the former, and asks for what it offers beyond it.
 */
export class Inbox {
  readonly #peer: number;
  readonly #windowBytes: number;
  readonly #reply: Reply;
  readonly #arrived = new Map<string, Kept>();
  readonly #waiting = new Map<string, Waiter>();
  readonly #offered = new Set<string>();
  readonly #wanted = new Set<string>();
  /** By step, tags that have come or were offered. */
  readonly #seen = new Map<number, Set<string>>();
  #newestStep = 0;
  /** Bytes that the peer may still send unasked. */
  #granted = 0;
  /** Bytes that were taken, to be granted again. */
  #freed = 0;
  #lost: PeerError | undefined;

  constructor(peer: number, windowBytes: number, reply: Reply) {
    this.#peer = peer;
    this.#windowBytes = windowBytes;
    this.#reply = reply;
  }

  /** Grants the peer its first credit. */
  open(): void {
    this.#granted = this.#windowBytes;
    this.#reply('credit', { step: 0, task: this.#windowBytes, round: 0 });
  }

  /** Bytes of messages that have come unasked, with their overhead; at most the window. */
  get heldBytes(): number {
    let bytes = 0;
    for (const { cost } of this.#arrived.values()) bytes += cost;
    return bytes;
  }

  /** Takes note of a tensor that is about to come. @throws {WireError} where it must not */
  admit({ kind, step, task, round, payloadBytes }: Header): void {
    const key = keyOf({ step, task, round });
    const waiter = this.#waiting.get(key);
    if (waiter !== undefined && waiter.byteLength !== payloadBytes) throw lengthError(payloadBytes, waiter.byteLength);
    if (kind === 'wanted') {
      if (!this.#wanted.delete(key)) throw new WireError(`it sent ${name({ step, task, round })} as if asked for it`);
      return;
    }
    this.#see({ step, task, round }, key);
    const cost = payloadBytes + MESSAGE_OVERHEAD_BYTES;
    if (cost > this.#granted) {
      throw new WireError(
        `it sent ${payloadBytes} bytes unasked; expected at most ${this.#granted - MESSAGE_OVERHEAD_BYTES}`,
      );
    }
    this.#granted -= cost;
  }

  /** Where the bytes of a tensor that was admitted are wanted; undefined where nobody has asked for it, or only to look at it. */
  place(tag: MessageTag): Uint8Array | undefined {
    return this.#waiting.get(keyOf(tag))?.target;
  }

  /** Takes a tensor that was admitted. @throws {WireError} where its length is not the one asked for */
  deliver(message: Delivery): void {
    const key = keyOf(message);
    const cost = message.kind === 'wanted' ? 0 : message.payload.byteLength + MESSAGE_OVERHEAD_BYTES;
    const waiter = this.#waiting.get(key);
    if (waiter === undefined) {
      const { payload, lent, release, recycle } = message;
      this.#arrived.set(key, {
        payload: lent === true ? new Uint8Array(payload) : payload,
        cost,
        ...(release && { release }),
        ...(recycle && { recycle }),
      });
      return;
    }
    this.#waiting.delete(key);
    this.#grant(cost);
    settle(waiter, message);
    if (waiter.byteLength !== message.payload.byteLength)
      throw lengthError(message.payload.byteLength, waiter.byteLength);
  }

  /** Takes note of what the peer has, but no credit for. @throws {WireError} for a duplicate, or too many */
  offer(tag: MessageTag): void {
    const key = keyOf(tag);
    this.#see(tag, key);
    if (this.#waiting.has(key)) this.#want(key, tag);
    else this.#offered.add(key);
    if (this.#offered.size > MAX_OFFERS) {
      throw new WireError(`it has ${this.#offered.size} messages waiting; expected at most ${MAX_OFFERS}`);
    }
  }

  /** Resolves once the taker has had the message. */
  take(tag: MessageTag, taker: Taker): Promise<void> {
    const key = keyOf(tag);
    if (tag.step > this.#newestStep) this.#forget(tag.step);
    const kept = this.#arrived.get(key);
    if (kept !== undefined) {
      this.#arrived.delete(key);
      this.#grant(kept.cost);
      return new Promise((resolve, reject) => settle({ ...taker, resolve, reject: this.#named(reject) }, kept));
    }
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      this.#waiting.set(key, { ...taker, resolve, reject: this.#named(reject) });
      if (this.#offered.delete(key)) this.#want(key, tag);
    });
  }

  /** From now on nothing comes: pending requests fail. */
  lose(error: PeerError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #named(reject: (error: Error) => void): (error: Error) => void {
    const peer = this.#peer;
    return (error) =>
      reject(
        error instanceof WireError ? new PeerError(peer, `device ${peer}: ${error.message}`, { isFault: true }) : error,
      );
  }

  #want(key: string, tag: MessageTag): void {
    this.#wanted.add(key);
    this.#reply('want', tag);
  }

  /** Credit goes back in portions, so that it takes few messages. */
  #grant(cost: number): void {
    this.#freed += cost;
    if (this.#freed === 0 || this.#freed < this.#windowBytes / 4) return;
    this.#granted += this.#freed;
    this.#reply('credit', { step: 0, task: this.#freed, round: 0 });
    this.#freed = 0;
  }

  #see(tag: MessageTag, key: string): void {
    if (tag.step + STEPS_REMEMBERED < this.#newestStep && !this.#waiting.has(key)) {
      throw new WireError(`it sent ${name(tag)} late: step ${this.#newestStep} has begun`);
    }
    const seen = this.#seen.get(tag.step) ?? new Set<string>();
    if (seen.has(key)) throw new WireError(`it sent ${name(tag)} twice`);
    this.#seen.set(tag.step, seen.add(key));
  }

  #forget(newestStep: number): void {
    this.#newestStep = newestStep;
    for (const step of this.#seen.keys()) if (step + STEPS_REMEMBERED < newestStep) this.#seen.delete(step);
  }
}

function settle(
  { byteLength, use, owned, target, resolve, reject }: Waiter,
  message: Pick<Delivery, 'payload' | 'lent' | 'release' | 'recycle'>,
): void {
  const { payload, lent, release } = message;
  try {
    if (payload.byteLength !== byteLength) throw lengthError(payload.byteLength, byteLength);
    const copies = owned && (lent === true || release !== undefined);
    if (payload !== target) use(copies ? new Uint8Array(payload) : payload);
    resolve();
  } catch (error) {
    reject(error instanceof Error ? error : new Error(String(error)));
  }
  message.release?.();
  if (!owned) message.recycle?.();
}

function lengthError(got: number, expected: number): WireError {
  return new WireError(`it sent ${got} bytes; expected ${expected}: the devices do not run the same plan`);
}

/** A tag as errors name it. */
function name({ step, task, round }: MessageTag): string {
  return `step ${step}, task ${task}, round ${round}`;
}

/** A key of a tag, for maps. */
export function keyOf({ step, task, round }: MessageTag): string {
  return `${step}/${task}/${round}`;
}

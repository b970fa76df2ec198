import type { MessageTag } from './transport.ts';
import { PeerError } from './transport.ts';

interface Waiter {
  readonly peer: number;
  resolve(payload: Uint8Array): void;
  reject(error: PeerError): void;
}

/** Messages that have come but were not asked for yet, and requests whose message has not come yet. */
export class Inbox {
  readonly #maxBytes: number;
  readonly #arrived = new Map<string, Uint8Array>();
  readonly #waiting = new Map<string, Waiter>();
  readonly #lost = new Map<number, PeerError>();
  #bytes = 0;

  /** @param maxBytes memory that messages may take before they are asked for */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws {PeerError} for a duplicate, or when the messages no one asks for take too much memory */
  deliver(peer: number, tag: MessageTag, payload: Uint8Array): void {
    const key = keyOf(peer, tag);
    const waiter = this.#waiting.get(key);
    if (waiter !== undefined) {
      this.#waiting.delete(key);
      waiter.resolve(payload);
      return;
    }
    if (this.#arrived.has(key))
      throw new PeerError(peer, `device ${peer} sent step ${tag.step}, task ${tag.task} twice`);
    this.#bytes += payload.byteLength;
    if (this.#bytes > this.#maxBytes) {
      throw new PeerError(peer, `device ${peer} sent ${this.#bytes} bytes ahead; expected at most ${this.#maxBytes}`);
    }
    this.#arrived.set(key, payload);
  }

  take(peer: number, tag: MessageTag): Promise<Uint8Array> {
    const key = keyOf(peer, tag);
    const payload = this.#arrived.get(key);
    if (payload !== undefined) {
      this.#arrived.delete(key);
      this.#bytes -= payload.byteLength;
      return Promise.resolve(payload);
    }
    const lost = this.#lost.get(peer);
    if (lost !== undefined) return Promise.reject(lost);
    return new Promise((resolve, reject) => this.#waiting.set(key, { peer, resolve, reject }));
  }

  /** From now on nothing comes from the peer: its pending requests fail. */
  lose(error: PeerError): void {
    if (!this.#lost.has(error.peer)) this.#lost.set(error.peer, error);
    for (const [key, waiter] of this.#waiting) {
      if (waiter.peer !== error.peer) continue;
      this.#waiting.delete(key);
      waiter.reject(error);
    }
  }
}

function keyOf(peer: number, { step, task, round }: MessageTag): string {
  return `${peer}/${step}/${task}/${round}`;
}

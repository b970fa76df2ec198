import type { FrameKind } from '../wire/header.ts';
import { Endpoint } from './endpoint.ts';
import type { Link, LinkEvents } from './link.ts';
import type { MessageTag, Transport } from './transport.ts';
import { messageOf } from '../../soap/message-of.ts';

/**
 * Transports between devices of one thread. A message that was asked for is read from the sender's memory.
 * @param windowBytes what a peer may send before it is asked for
 */
export function createMemoryTransports(count: number, windowBytes?: number): Transport[] {
  const ends = Array.from({ length: count }, (_, self) => new Endpoint(self, windowBytes));
  for (const first of ends) for (const second of ends) if (first.self < second.self) joinInMemory(first, second);
  return ends;
}

/** Links two ends of the same thread. */
function joinInMemory(first: Endpoint, second: Endpoint): void {
  const [a, b] = [new MemoryLink(), new MemoryLink()];
  [a.other, b.other] = [b, a];
  first.join(second.self, (events) => a.attach(events));
  second.join(first.self, (events) => b.attach(events));
  b.takeWaiting();
}

interface Letter {
  readonly kind: FrameKind;
  readonly tag: MessageTag;
  readonly payload: Uint8Array;
}

class MemoryLink implements Link {
  other: MemoryLink | undefined;
  #events: LinkEvents | undefined;
  /** What came before anyone was there to take it: the first credit. */
  #waiting: Letter[] = [];
  #ended = false;

  attach(events: LinkEvents): this {
    this.#events = events;
    return this;
  }

  takeWaiting(): void {
    for (const letter of this.#waiting) this.#deliver(letter);
    this.#waiting = [];
  }

  async send(kind: FrameKind, tag: MessageTag, payload: Uint8Array): Promise<void> {
    if (this.#ended) throw new Error('the link has ended');
    const letter = { kind, tag, payload };
    if (this.other!.#events === undefined || kind === 'credit') {
      this.other!.#deliver(letter);
      return;
    }
    // Not at once: a message must not be answered before its sender knows that it is sent.
    await Promise.resolve();
    this.other!.#deliver(letter);
  }

  leave(): void {
    void Promise.resolve().then(() => {
      this.end('this device has left');
      this.other!.end('it closed the connection');
    });
  }

  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events!.onEnd(reason);
    void Promise.resolve().then(() => this.other!.end('it closed the connection'));
  }

  #deliver(letter: Letter): void {
    const { kind, tag, payload } = letter;
    if (this.#ended) return;
    if (this.#events === undefined) {
      this.#waiting.push(letter);
      return;
    }
    const header = { step: tag.step, task: tag.task, round: tag.round, kind, payloadBytes: payload.byteLength };
    try {
      this.#events.admit(header);
      this.#events.onMessage({ ...header, payload, lent: true });
    } catch (error) {
      this.end(messageOf(error));
    }
  }
}

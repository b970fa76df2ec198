import type { MessageTag, Transport } from '../transport/transport.ts';
import type { WireElements } from '../wire/elements.ts';

/** The messages of one piece of a collective: float32 values by round, a round being one of a peer's messages. */
export class PieceMessages {
  readonly #transport: Transport;
  readonly #elements: WireElements;
  readonly #first: MessageTag;

  /** @param first tag of round 0 */
  constructor(transport: Transport, elements: WireElements, first: MessageTag) {
    this.#transport = transport;
    this.#elements = elements;
    this.#first = first;
  }

  get self(): number {
    return this.#transport.self;
  }

  /** The same from a later round on. */
  after(rounds: number): PieceMessages {
    return new PieceMessages(this.#transport, this.#elements, this.#tag(rounds));
  }

  /** Resolves when the values may be written again. */
  send(peer: number, round: number, values: Float32Array): Promise<void> {
    const sent = this.#transport.send(peer, this.#tag(round), this.#elements.pack(values));
    // It is awaited after what is done meanwhile; until then a failure must not count as unhandled.
    sent.catch(() => undefined);
    return sent;
  }

  /** Adds what a peer sends. */
  add(peer: number, round: number, target: Float32Array): Promise<void> {
    return this.#read(peer, round, target, (bytes) => this.#elements.add(bytes, target));
  }

  /** Adds what is here. */
  addHere(source: Float32Array, target: Float32Array): void {
    this.#elements.addHere(target, source);
  }

  /** Takes over what a peer sends. */
  copy(peer: number, round: number, target: Float32Array): Promise<void> {
    const bytes = this.#elements.bytesOf?.(target);
    if (bytes !== undefined) return this.#transport.fill(peer, this.#tag(round), bytes);
    return this.#read(peer, round, target, (packed) => this.#elements.copy(packed, target));
  }

  /** Makes values what the peers see of them. */
  round(values: Float32Array): void {
    this.#elements.round(values);
  }

  #read(peer: number, round: number, { length }: Float32Array, use: (bytes: Uint8Array) => void): Promise<void> {
    return this.#transport.read(peer, this.#tag(round), this.#elements.bytesPerElement * length, use);
  }

  #tag(round: number): MessageTag {
    return { ...this.#first, round: this.#first.round + round };
  }
}

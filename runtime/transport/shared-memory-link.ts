import type { FrameKind, Header } from '../wire/header.ts';
import { carriesTensor, WireError } from '../wire/header.ts';
import { AreaSpace } from './area-space.ts';
import type { Delivery, Link, LinkEvents } from './link.ts';
import { NO_BYTES, NO_TAG } from './link.ts';
import type { SharedArea } from './shared-area.ts';
import { AREA_BYTES, createArea, openArea } from './shared-area.ts';
import type { MessageTag } from './transport.ts';

/** Tensors of fewer bytes go over the connection: they fit into the frame that would say where they are. */
const MIN_BYTES = 16_384;

/** `freed` with it says that the area is mapped. */
const MAPPED = 0;

/** Where a tensor is: its run, the first byte, its bytes, and 1 where it was wanted. */
const PLACE_FIELDS = 4;

/** A link whose events are told to one who is given later. */
export interface AttachableLink extends Link {
  attach(events: LinkEvents): this;
}

/**
 * A link between two processes of one machine: large tensors are written once, into memory that both map, and read there. The
 * link inside carries the rest, and says where tensors are, so that order, credits and faults are its own. Where the memory
 * is not to be had, or full, tensors go over the link as well.
 */
export class SharedMemoryLink implements Link {
  readonly #inner: AttachableLink;
  readonly #space = new AreaSpace(AREA_BYTES);
  #outgoing: SharedArea | undefined;
  #incoming: Uint8Array | undefined;
  #isMapped = false;
  #events: LinkEvents | undefined;

  constructor(inner: AttachableLink) {
    this.#inner = inner;
  }

  /** Takes who hears of messages, and offers the peer memory. */
  attach(events: LinkEvents): this {
    this.#events = events;
    this.#inner.attach({
      admit: (header) => this.#admit(header),
      place: (header) => events.place(header),
      onMessage: (message) => this.#hear(message),
      onEnd: (reason) => {
        if (!this.#isMapped) this.#outgoing?.forget();
        this.#outgoing?.close();
        events.onEnd(reason);
      },
    });
    this.#outgoing = createArea();
    if (this.#outgoing !== undefined) this.#say('memory', NO_TAG, new TextEncoder().encode(this.#outgoing.name));
    return this;
  }

  send(kind: FrameKind, tag: MessageTag, payload: Uint8Array): Promise<void> {
    const { byteLength } = payload;
    const run = carriesTensor(kind) && byteLength >= MIN_BYTES ? this.#take(byteLength) : undefined;
    if (run === undefined) return this.#inner.send(kind, tag, payload);
    this.#outgoing!.bytes.set(payload, run.start);
    const place = Uint32Array.of(run.id, run.start, byteLength, kind === 'wanted' ? 1 : 0);
    return this.#inner.send('shared', tag, new Uint8Array(place.buffer));
  }

  /** Room in memory that both map; undefined where there is none. */
  #take(bytes: number): ReturnType<AreaSpace['take']> {
    const run = this.#isMapped ? this.#space.take(bytes) : undefined;
    if (run === undefined || this.#outgoing!.reserve(run.start + bytes)) return run;
    this.#space.free(run.id);
    return undefined;
  }

  leave(): void {
    this.#inner.leave();
  }

  end(reason: string): void {
    this.#inner.end(reason);
  }

  /** What is in shared memory is admitted when it is known how much it is. */
  #admit(header: Header): void {
    if (carriesTensor(header.kind)) this.#events!.admit(header);
  }

  #hear(message: Delivery): void {
    switch (message.kind) {
      case 'memory':
        this.#incoming = openArea(new TextDecoder().decode(message.payload));
        // One that cannot be opened from here is not written to.
        if (this.#incoming !== undefined) this.#say('freed', { ...NO_TAG, task: MAPPED });
        return;
      case 'freed':
        return this.#freed(message.task);
      case 'shared':
        return this.#deliver(message);
      default:
        return this.#events!.onMessage(message);
    }
  }

  #freed(id: number): void {
    if (id === MAPPED && this.#outgoing !== undefined && !this.#isMapped) {
      this.#isMapped = true;
      this.#outgoing.forget();
    } else if (!this.#space.free(id)) throw new WireError(`it gives back run ${id}, which it was not sent`);
  }

  #deliver({ step, task, round, payload: place }: Delivery): void {
    if (place.byteLength !== 4 * PLACE_FIELDS) throw new WireError('it does not say where a tensor is');
    const [id, start, payloadBytes, wanted] = new Uint32Array(place.buffer, place.byteOffset, PLACE_FIELDS);
    const end = start! + payloadBytes!;
    if (this.#incoming === undefined || end > this.#incoming.byteLength) {
      throw new WireError(
        `it has a tensor in bytes ${start} to ${end} of ${this.#incoming?.byteLength ?? 'no'} shared ones`,
      );
    }
    const header = {
      kind: wanted === 1 ? 'wanted' : 'tensor',
      step,
      task,
      round,
      payloadBytes: payloadBytes!,
    } as const;
    this.#events!.admit(header);
    const payload = this.#incoming.subarray(start, end);
    this.#events!.onMessage({
      ...header,
      payload,
      release: () => this.#say('freed', { ...NO_TAG, task: id! }),
    });
  }

  #say(kind: FrameKind, tag: MessageTag, payload: Uint8Array = NO_BYTES): void {
    // A link that has ended reports it by itself.
    this.#inner.send(kind, tag, payload).catch(() => undefined);
  }
}

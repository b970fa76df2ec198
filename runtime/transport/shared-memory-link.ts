import type { FrameKind, Header } from '../wire/header.ts';
import { carriesTensor, MAX_FREED_RUNS, WireError } from '../wire/header.ts';
import { AreaSpace } from './area-space.ts';
import type { Delivery, Link, LinkEvents } from './link.ts';
import { NO_TAG } from './link.ts';
import type { SharedArea } from './shared-area.ts';
import { AREA_BYTES, createArea, openArea } from './shared-area.ts';
import type { MessageTag } from './transport.ts';

/** Tensors of fewer bytes go over the connection: they fit into the frame that would say where they are. */
const MIN_BYTES = 16_384;

/** Given back like a run, it says that the area is mapped. */
const MAPPED = 0;

/**
 * Where a tensor is: its run, the first byte, its bytes, and 1 where it was wanted. Behind them are runs of the other end's memory that were
 * read, a field for each.
 */
const PLACE_FIELDS = 4;

/**
 * Runs and bytes of them that wait to be given back with the next tensor: a message for each run would wake the peer as often as tensors do.
 * What waits is little beside {@link AREA_BYTES}, and the next tensors still find room in what the caches have.
 */
const [MAX_KEPT_RUNS, MAX_KEPT_BYTES] = [MAX_FREED_RUNS, 256 * 1024];

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
  /** Runs of the peer's memory that were read here, which it was not told yet. */
  #readRuns: number[] = [];
  #readBytes = 0;

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
    if (this.#outgoing !== undefined) this.#say('memory', new TextEncoder().encode(this.#outgoing.name));
    return this;
  }

  send(kind: FrameKind, tag: MessageTag, payload: Uint8Array): Promise<void> {
    const { byteLength } = payload;
    const run = carriesTensor(kind) && byteLength >= MIN_BYTES ? this.#take(byteLength) : undefined;
    if (run === undefined) return this.#inner.send(kind, tag, payload);
    this.#outgoing!.bytes.set(payload, run.start);
    const place = [run.id, run.start, byteLength, kind === 'wanted' ? 1 : 0];
    return this.#inner.send('shared', tag, fieldsToBytes([...place, ...this.#takeReadRuns()]));
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
        if (this.#incoming !== undefined) this.#say('freed', fieldsToBytes([MAPPED]));
        return;
      case 'freed':
        return this.#freed(fieldsOf(message.payload));
      case 'shared':
        return this.#deliver(message);
      default:
        return this.#events!.onMessage(message);
    }
  }

  #freed(ids: Iterable<number>): void {
    for (const id of ids) {
      if (id === MAPPED && this.#outgoing !== undefined && !this.#isMapped) {
        this.#isMapped = true;
        this.#outgoing.forget();
      } else if (!this.#space.free(id)) throw new WireError(`it gives back run ${id}, which it was not sent`);
    }
  }

  #deliver({ step, task, round, payload: place }: Delivery): void {
    if (place.byteLength < 4 * PLACE_FIELDS) throw new WireError('it does not say where a tensor is');
    const [id, start, payloadBytes, wanted, ...freed] = fieldsOf(place);
    this.#freed(freed);
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
      release: () => this.#release(id!, payloadBytes!),
    });
  }

  /** A run of the peer's memory was read. */
  #release(id: number, bytes: number): void {
    this.#readRuns.push(id);
    this.#readBytes += bytes;
    if (this.#readRuns.length < MAX_KEPT_RUNS && this.#readBytes < MAX_KEPT_BYTES) return;
    this.#say('freed', fieldsToBytes(this.#takeReadRuns()));
  }

  #takeReadRuns(): readonly number[] {
    const runs = this.#readRuns;
    [this.#readRuns, this.#readBytes] = [[], 0];
    return runs;
  }

  #say(kind: FrameKind, payload: Uint8Array): void {
    // A link that has ended reports it by itself.
    this.#inner.send(kind, NO_TAG, payload).catch(() => undefined);
  }
}

/** Unsigned integers of four bytes, little-endian as all machines that share memory here are. */
function fieldsToBytes(fields: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(fields).buffer);
}

/** @throws {WireError} where there are no whole fields */
function fieldsOf(bytes: Uint8Array): Uint32Array {
  if (bytes.byteLength % 4 !== 0) throw new WireError(`it sent ${bytes.byteLength} bytes; expected integers of 4`);
  return new Uint32Array(bytes.slice().buffer);
}

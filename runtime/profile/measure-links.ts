import type { MessageTag, Transport } from '../transport/transport.ts';
import { linkSlots } from './link-slots.ts';

/** The way from this device to another, as it was measured. */
export interface MeasuredLink {
  readonly peer: number;
  /** Of large messages, without their latency. */
  readonly bytesPerSec: number;
  /** Of a message of a few bytes, one way. */
  readonly latencyUs: number;
}

/**
 * Task ids of the messages, by direction; a plan has fewer tasks. All are of step 0: one of a later step would make the first
 * steps of training late.
 */
const PROBE_TASKS = [2 ** 32 - 1, 2 ** 32 - 3] as const;
const MEETING_TASK = 2 ** 32 - 2;

/** A device measures no further way once it has measured for so long. */
const BUDGET_MS = 1500;

/** Small messages there and back, and the bytes of one. */
const [PINGS, PING_BYTES] = [8, 8];

/**
 * Large messages, and how many are under way at once: they fill a connection of 100 Gb/s whose ends are 300 us apart. More would take
 * memory that nobody has touched yet, as messages of training do once: on a virtual machine a MiB of it was measured to take 8 ms.
 */
const [MESSAGE_BYTES, UNDER_WAY] = [1024 * 1024, 4];

/** Bursts take so long, or so many times as many messages, and there are so many; the fastest counts: other work only makes one slower. */
const [BURST_MS, MAX_TIMES, BURSTS] = [15, 32, 3];

/** No burst begins later; a slow way has fewer. */
const BURSTS_MS = 80;

/**
 * Measures the ways from this device to others that {@link linkSlots} says, once all are connected. Every device of a job calls it
 * at the same point, and each pair talks when both have come to it.
 * @param nodes the node of each device
 */
export async function measureLinks(transport: Transport, nodes: readonly string[]): Promise<MeasuredLink[]> {
  const { self } = transport;
  const links: MeasuredLink[] = [];
  let spentMs = 0;
  for (const [slot, pairs] of linkSlots(nodes).entries()) {
    const pair = pairs.find((each) => each.includes(self));
    if (pair === undefined) continue;
    const peer = pair[0] === self ? pair[1] : pair[0];
    await meet(transport, peer, slot);
    const startMs = performance.now();
    // The pair's first device measures first.
    for (const [direction, leader] of pair.entries()) {
      const end = new End(transport, peer, PROBE_TASKS[direction]!);
      if (leader !== self) await end.follow();
      else {
        if (spentMs < BUDGET_MS) links.push({ peer, ...(await measureOneWay(end)) });
        await end.order(0, 0);
      }
    }
    spentMs += performance.now() - startMs;
  }
  return links;
}

/** Waits until the other device has come to a slot too. */
async function meet(transport: Transport, peer: number, slot: number): Promise<void> {
  const tag = { step: 0, task: MEETING_TASK, round: slot };
  await Promise.all([
    transport.send(peer, tag, new Uint8Array(PING_BYTES)),
    transport.read(peer, tag, PING_BYTES, () => undefined),
  ]);
}

async function measureOneWay(end: End): Promise<Omit<MeasuredLink, 'peer'>> {
  // The first ones touch the memory that all others find touched.
  await end.burstMs(UNDER_WAY, MESSAGE_BYTES);
  let pingMs = Infinity;
  for (let i = 0; i < PINGS; i++) pingMs = Math.min(pingMs, await end.burstMs(1, PING_BYTES));
  let best = 0;
  const untilMs = performance.now() + BURSTS_MS;
  for (let i = 0; i < BURSTS && (i === 0 || performance.now() < untilMs); i++) {
    let [ms, times] = [0, 0];
    for (; ms < BURST_MS && times < MAX_TIMES; times++) {
      const wholeMs = await end.burstMs(UNDER_WAY, MESSAGE_BYTES);
      ms += Math.max(1e-3, wholeMs - pingMs);
    }
    best = Math.max(best, (times * UNDER_WAY * MESSAGE_BYTES) / ms);
  }
  return { bytesPerSec: best * 1000, latencyUs: (pingMs * 1000) / 2 };
}

/** One end of a way that is measured in one direction: whoever leads sends bursts, the other answers each. */
class End {
  readonly #transport: Transport;
  readonly #peer: number;
  readonly #task: number;
  readonly #payload = new Uint8Array(MESSAGE_BYTES);
  readonly #target = new Uint8Array(MESSAGE_BYTES);
  #sequence = 0;

  constructor(transport: Transport, peer: number, task: number) {
    this.#transport = transport;
    this.#peer = peer;
    this.#task = task;
  }

  /** Says what comes: so many messages of so many bytes, none at the end. */
  async order(count: number, bytes: number): Promise<void> {
    const order = new Uint8Array(new Uint32Array([count, bytes]).buffer);
    await this.#transport.send(this.#peer, this.#tag(), order);
  }

  /** Milliseconds from the order of a burst until the other end has all of it. */
  async burstMs(count: number, bytes: number): Promise<number> {
    const startMs = performance.now();
    await this.order(count, bytes);
    const payload = this.#payload.subarray(0, bytes);
    await Promise.all(Array.from({ length: count }, () => this.#transport.send(this.#peer, this.#tag(), payload)));
    await this.#transport.read(this.#peer, this.#tag(), PING_BYTES, () => undefined);
    return performance.now() - startMs;
  }

  /** Answers bursts until there are no more. */
  async follow(): Promise<void> {
    for (;;) {
      const order = await this.#transport.receive(this.#peer, this.#tag(), 2 * Uint32Array.BYTES_PER_ELEMENT);
      const [count = 0, bytes = 0] = new Uint32Array(order.buffer, order.byteOffset, 2);
      if (count === 0) return;
      if (count > UNDER_WAY || bytes > MESSAGE_BYTES) throw new Error('internal: a burst that is too large');
      // Into memory of its own, as tensors in training are; what is there in the end is of no use.
      const target = this.#target.subarray(0, bytes);
      await Promise.all(Array.from({ length: count }, () => this.#transport.fill(this.#peer, this.#tag(), target)));
      await this.#transport.send(this.#peer, this.#tag(), this.#payload.subarray(0, PING_BYTES));
    }
  }

  #tag(): MessageTag {
    return { step: 0, task: this.#task, round: this.#sequence++ };
  }
}

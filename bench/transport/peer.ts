/** A process of the bench: joined to the others by our transport and by a ring of raw TCP sockets. Obeys its parent. */
import { allReduce } from '../../runtime/collectives/all-reduce.ts';
import { createKernelEngine } from '../../runtime/kernels/create-engine.ts';
import { wireElements } from '../../runtime/wire/elements.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import { connectWebSocketTransport } from '../../runtime/transport/websocket.ts';
import type { Order, Outcome, Ports } from './orders.ts';
import { HOST, MIB } from './orders.ts';
import { RawRing } from './raw-ring.ts';

interface Joined {
  readonly self: number;
  readonly count: number;
  readonly transport: Transport;
  readonly raw: RawRing;
}

let joined: Joined | undefined;
/** Values as devices send and add them, each of which has an engine. */
const elements = wireElements('float32', createKernelEngine('cpu', { threads: 1, gpu: 0 }).engine.add);
/** What is summed, in memory that is there already, as a gradient is. */
let summed: Float32Array = new Float32Array();
/** Numbers the measurements, so that no tag comes twice. */
let step = 0;

async function join(self: number, ports: Ports): Promise<void> {
  const peers = ports.transport.map((port, peer) => [peer, { host: HOST, port }] as const);
  const [transport, raw] = await Promise.all([
    connectWebSocketTransport({
      self,
      token: 'bench',
      session: 'bench/1',
      listen: { host: HOST, port: ports.transport[self]! },
      peers: new Map(peers.filter(([peer]) => peer !== self)),
      connectTimeoutMs: 20_000,
    }),
    RawRing.join(self, ports.raw),
  ]);
  joined = { self, count: ports.raw.length, transport, raw };
}

/** Sends or takes so many MiB, in messages of one. Milliseconds. */
async function stream({ self, transport, raw }: Joined, messages: number, over: 'transport' | 'raw'): Promise<number> {
  const start = performance.now();
  if (over === 'raw') await (self === 0 ? raw.send(messages) : raw.take(messages * MIB));
  else if (self === 0) {
    const payload = new Uint8Array(new SharedArrayBuffer(MIB));
    const sends = Array.from({ length: messages }, (_, round) => transport.send(1, { step, task: 0, round }, payload));
    await Promise.all(sends);
  } else {
    const reads = Array.from({ length: messages }, (_, round) =>
      transport.read(0, { step, task: 0, round }, MIB, () => undefined),
    );
    await Promise.all(reads);
  }
  return performance.now() - start;
}

/** Everyone sends so many MiB to the next and takes as many from the one before, over raw TCP. Milliseconds. */
async function ring({ raw }: Joined, messages: number): Promise<number> {
  const start = performance.now();
  await Promise.all([raw.send(messages), raw.take(messages * MIB)]);
  return performance.now() - start;
}

/** Milliseconds of a sum over all, in place. */
async function sum({ transport, count }: Joined, data: Float32Array): Promise<number> {
  const devices = Array.from({ length: count }, (_, device) => device);
  const start = performance.now();
  await allReduce({ algorithm: 'ring', devices, nodes: [devices] }, transport, data, { step, task: 1 }, elements);
  return performance.now() - start;
}

/** Round trips of 4 bytes between the first two, microseconds each. */
async function pingPong({ self, transport, raw }: Joined, trips: number, over: 'transport' | 'raw'): Promise<number[]> {
  const times: number[] = [];
  const payload = new Uint8Array(4);
  for (let round = 0; round < trips; round++) {
    const start = performance.now();
    if (over === 'raw') await (self === 0 ? raw.ping() : raw.pong());
    else {
      const tag = { step, task: 2, round };
      const sent = self === 0 ? transport.send(1, tag, payload) : undefined;
      await transport.receive(1 - self, tag, 4);
      await (sent ?? transport.send(0, tag, payload));
    }
    times.push(1000 * (performance.now() - start));
  }
  return times;
}

/** Bytes that this process copies per millisecond while the others do too. */
function copyRate(bytes: number): number {
  const [from, to] = [new Uint8Array(bytes).fill(1), new Uint8Array(bytes)];
  const start = performance.now();
  let copies = 0;
  for (; performance.now() - start < 300; copies++) to.set(from);
  return (copies * bytes) / (performance.now() - start);
}

/** Processor time that this process took since then. */
function processorMs(before: NodeJS.CpuUsage): Pick<Outcome, 'processorMs'> {
  const { user, system } = process.cpuUsage(before);
  return { processorMs: (user + system) / 1000 };
}

async function obey(order: Order): Promise<Outcome> {
  step += 1;
  const before = process.cpuUsage();
  if (order.kind === 'join') {
    await join(order.self, order.ports);
    return {};
  }
  if (joined === undefined) throw new Error('internal: ordered to measure before it joined');
  switch (order.kind) {
    case 'stream':
      return { ms: joined.self > 1 ? 0 : await stream(joined, order.messages, order.over), ...processorMs(before) };
    case 'ring':
      return { ms: await ring(joined, order.messages), ...processorMs(before) };
    case 'sum':
      if (summed.byteLength !== order.bytes) summed = new Float32Array(new SharedArrayBuffer(order.bytes)).fill(1);
      return { ms: await sum(joined, summed), ...processorMs(before) };
    case 'ping':
      return { timesUs: joined.self > 1 ? [] : await pingPong(joined, order.trips, order.over) };
    case 'copy':
      return { bytesPerMs: copyRate(order.bytes) };
    case 'leave':
      await joined.transport.close();
      joined.raw.close();
      return {};
  }
}

process.on('message', (order: Order) => {
  obey(order).then(
    (outcome) => process.send?.(outcome),
    (error: unknown) => process.send?.({ failure: String(error) } satisfies Outcome),
  );
});

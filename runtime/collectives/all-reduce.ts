import type { CollectiveTask } from '../../soap/tasks/task-graph.ts';
import type { MessageTag, Transport } from '../transport/transport.ts';

/** Which message of which task; the rounds are the collective's own. */
export type CollectiveTag = Pick<MessageTag, 'step' | 'task'>;

/** How a sum is done: an algorithm, the devices in order (equal on all, this one among them), the same by node. */
export type Reduction = Pick<CollectiveTask, 'algorithm' | 'devices' | 'nodes'>;

/** Sums float32 data over devices, in place, ending with the same bits on each. */
export function allReduce(
  { algorithm, devices, nodes }: Reduction,
  transport: Transport,
  data: Float32Array,
  tag: CollectiveTag,
): Promise<void> {
  switch (algorithm) {
    case 'ring':
      return ringAllReduce(transport, devices, data, { ...tag, round: 0 });
    case 'exchange':
      return exchange(transport, devices, data, tag);
    case 'hierarchical':
      return hierarchical(transport, nodes, data, tag);
    case 'owner':
      return throughOwner(transport, nodes, data, tag);
  }
}

async function ringAllReduce(
  transport: Transport,
  devices: readonly number[],
  data: Float32Array,
  first: MessageTag,
): Promise<void> {
  await ringReduceScatter(transport, devices, data, first);
  await ringAllGather(transport, devices, data, { ...first, round: first.round + devices.length - 1 });
}

/**
 * In round r, a device sends chunk (rank - r) to the next one and adds what it gets to chunk (rank - r - 1). So each chunk is
 * summed along the ring, always in the same order, and ends whole on one device: chunk (rank + 1).
 */
async function ringReduceScatter(
  transport: Transport,
  devices: readonly number[],
  data: Float32Array,
  first: MessageTag,
): Promise<void> {
  await aroundRing(transport, devices, data, first, 0, add);
}

/** The same way round, starting from the chunks that a reduce-scatter has left whole. */
async function ringAllGather(
  transport: Transport,
  devices: readonly number[],
  data: Float32Array,
  first: MessageTag,
): Promise<void> {
  await aroundRing(transport, devices, data, first, 1, (source, target) => target.set(source));
}

async function aroundRing(
  transport: Transport,
  devices: readonly number[],
  data: Float32Array,
  first: MessageTag,
  offset: number,
  take: (source: Float32Array, target: Float32Array) => void,
): Promise<void> {
  const count = devices.length;
  const rank = devices.indexOf(transport.self);
  const next = devices[(rank + 1) % count]!;
  const previous = devices[(rank + count - 1) % count]!;
  for (let round = 0; round < count - 1; round++) {
    const tag = { ...first, round: first.round + round };
    const sent = transport.send(next, tag, bytesOf(chunkOf(data, rank + offset - round, count)));
    const target = chunkOf(data, rank + offset - round - 1, count);
    take(await received32(transport, previous, tag, target), target);
    await sent;
  }
}

/** One of `count` nearly equal chunks; indices go round. */
function chunkOf(data: Float32Array, index: number, count: number): Float32Array {
  const k = ((index % count) + count) % count;
  return data.subarray(Math.floor((k * data.length) / count), Math.floor(((k + 1) * data.length) / count));
}

/** Reduce-scatter within each node, an all-reduce of each chunk between the nodes, all-gather within each node. */
async function hierarchical(
  transport: Transport,
  nodes: readonly (readonly number[])[],
  data: Float32Array,
  tag: CollectiveTag,
): Promise<void> {
  const node = nodes.find((devices) => devices.includes(transport.self))!;
  const rank = node.indexOf(transport.self);
  const peers = nodes.map((devices) => devices[rank]!);
  await ringReduceScatter(transport, node, data, { ...tag, round: 0 });
  const between = { ...tag, round: node.length - 1 };
  await ringAllReduce(transport, peers, chunkOf(data, rank + 1, node.length), between);
  await ringAllGather(transport, node, data, { ...tag, round: between.round + 2 * (peers.length - 1) });
}

/** The first device of a node sums what the others send it, in their order; the first of all, what these send. */
async function throughOwner(
  transport: Transport,
  nodes: readonly (readonly number[])[],
  data: Float32Array,
  tag: CollectiveTag,
): Promise<void> {
  const node = nodes.find((devices) => devices.includes(transport.self))!;
  const leaders = nodes.map(([leader]) => leader!);
  const [inward, across, back, outward] = [0, 1, 2, 3].map((round) => ({ ...tag, round }));
  await sumAtFirst(transport, node, data, inward!);
  if (transport.self === node[0]) {
    await sumAtFirst(transport, leaders, data, across!);
    await sendFromFirst(transport, leaders, data, back!);
  }
  await sendFromFirst(transport, node, data, outward!);
}

async function sumAtFirst(
  transport: Transport,
  [first, ...others]: readonly number[],
  data: Float32Array,
  tag: MessageTag,
): Promise<void> {
  if (transport.self !== first) return transport.send(first!, tag, bytesOf(data));
  for (const device of others) add(await received32(transport, device, tag, data), data);
}

async function sendFromFirst(
  transport: Transport,
  [first, ...others]: readonly number[],
  data: Float32Array,
  tag: MessageTag,
): Promise<void> {
  if (transport.self === first) await Promise.all(others.map((device) => transport.send(device, tag, bytesOf(data))));
  else data.set(await received32(transport, first!, tag, data));
}

/** Every device sends all to all and sums in the order of the ring. */
async function exchange(
  transport: Transport,
  devices: readonly number[],
  data: Float32Array,
  { step, task }: CollectiveTag,
): Promise<void> {
  const tag = { step, task, round: 0 };
  const own = data.slice();
  const others = devices.filter((device) => device !== transport.self);
  const sends = Promise.all(others.map((device) => transport.send(device, tag, bytesOf(own))));
  // Seen below; until then a failed send must not count as unhandled.
  sends.catch(() => undefined);
  for (const [index, device] of devices.entries()) {
    const part = device === transport.self ? own : await received32(transport, device, tag, data);
    if (index === 0) data.set(part);
    else add(part, data);
  }
  await sends;
}

async function received32(
  transport: Transport,
  peer: number,
  tag: MessageTag,
  expected: Float32Array,
): Promise<Float32Array> {
  const bytes = await transport.receive(peer, tag);
  if (bytes.byteLength !== expected.byteLength) {
    throw new Error(
      `device ${peer} sent ${bytes.byteLength} bytes of a gradient; expected ${expected.byteLength}: ` +
        'the devices do not run the same plan',
    );
  }
  return new Float32Array(bytes.buffer, bytes.byteOffset, expected.length);
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function add(source: Float32Array, target: Float32Array): void {
  for (let i = 0; i < target.length; i++) target[i]! += source[i]!;
}

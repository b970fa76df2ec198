import type { CollectiveAlgorithm } from '../../soap/tasks/task-graph.ts';
import type { MessageTag, Transport } from '../transport/transport.ts';

/** Which message of which task; the rounds are the collective's own. */
export type CollectiveTag = Pick<MessageTag, 'step' | 'task'>;

/**
 * Sums float32 data over devices, in place, ending with the same bits on each.
 * @param devices in ring order, this device among them; equal on all
 */
export function allReduce(
  algorithm: CollectiveAlgorithm,
  transport: Transport,
  devices: readonly number[],
  data: Float32Array,
  tag: CollectiveTag,
): Promise<void> {
  return algorithm === 'ring' ? ringAllReduce(transport, devices, data, tag) : exchange(transport, devices, data, tag);
}

/**
 * Reduce-scatter, then all-gather. In round r of the first, a device sends chunk (rank - r) and adds what it gets to chunk
 * (rank - r - 1); so each chunk is summed along the ring, always in the same order, and ends whole on one device.
 */
async function ringAllReduce(
  transport: Transport,
  devices: readonly number[],
  data: Float32Array,
  { step, task }: CollectiveTag,
): Promise<void> {
  const count = devices.length;
  const rank = devices.indexOf(transport.self);
  const next = devices[(rank + 1) % count]!;
  const previous = devices[(rank + count - 1) % count]!;
  const chunk = (index: number): Float32Array => {
    const k = ((index % count) + count) % count;
    return data.subarray(Math.floor((k * data.length) / count), Math.floor(((k + 1) * data.length) / count));
  };
  for (let round = 0; round < 2 * (count - 1); round++) {
    const scattering = round < count - 1;
    const shift = scattering ? round : round - count;
    const sent = transport.send(next, { step, task, round }, bytesOf(chunk(rank - shift)));
    const received = await received32(transport, previous, { step, task, round }, chunk(rank - shift - 1));
    if (scattering) add(received, chunk(rank - shift - 1));
    else chunk(rank - shift - 1).set(received);
    await sent;
  }
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

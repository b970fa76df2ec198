import type { PieceMessages } from './messages.ts';

/** Rounds of a reduce-scatter or an all-gather. */
export function ringRounds(devices: readonly number[]): number {
  return devices.length - 1;
}

/** Sums runs of values, one for each device, around a ring. */
export async function ringAllReduce(
  messages: PieceMessages,
  devices: readonly number[],
  runs: readonly Float32Array[],
): Promise<void> {
  const rank = devices.indexOf(messages.self);
  await ringReduceScatter(messages, devices, runs);
  messages.round(runs[(rank + 1) % devices.length]!);
  await ringAllGather(messages.after(ringRounds(devices)), devices, runs);
}

/**
 * In round r, a device sends run (rank - r) to the next one and adds what it gets to run (rank - r - 1). So each run is
 * summed along the ring, always in the same order, and ends whole on one device: run (rank + 1).
 */
export function ringReduceScatter(
  messages: PieceMessages,
  devices: readonly number[],
  runs: readonly Float32Array[],
): Promise<void> {
  return aroundRing(messages, devices, runs, 0, (...from) => messages.add(...from));
}

/** The same way round, starting from the runs that a reduce-scatter has left whole. */
export function ringAllGather(
  messages: PieceMessages,
  devices: readonly number[],
  runs: readonly Float32Array[],
): Promise<void> {
  return aroundRing(messages, devices, runs, 1, (...from) => messages.copy(...from));
}

async function aroundRing(
  messages: PieceMessages,
  devices: readonly number[],
  runs: readonly Float32Array[],
  offset: number,
  take: (peer: number, round: number, target: Float32Array) => Promise<void>,
): Promise<void> {
  const count = devices.length;
  const rank = devices.indexOf(messages.self);
  const next = devices[(rank + 1) % count]!;
  const previous = devices[(rank + count - 1) % count]!;
  const run = (index: number): Float32Array => runs[((index % count) + count) % count]!;
  for (let round = 0; round < count - 1; round++) {
    const sent = messages.send(next, round, run(rank + offset - round));
    await take(previous, round, run(rank + offset - round - 1));
    await sent;
  }
}

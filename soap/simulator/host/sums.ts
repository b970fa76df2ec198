import type { CollectiveTask } from '../../tasks/task-graph.ts';
import { BYTES_PER_ELEMENT } from '../../tasks/work.ts';
import { isLongSum, NO_COPYING } from './copies.ts';
import type { Copying } from './copies.ts';

/** A message from one device to another. */
export interface HostMessage {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
  /** What its receiver does with it, microseconds; nothing where absent. */
  readonly useUs?: number;
  /** Whether its sender sends it right after another. */
  readonly follows?: boolean;
}

/** What the algorithms add items by; times are microseconds of a core, items are by number. */
interface SumBuilder {
  /** Adds a message; returns when it is sent. @param came gets the item by which it has come */
  message(message: HostMessage, after: number, came: number[]): number;
  /** Work of a device's JavaScript thread. */
  javaScript(device: number, us: number, after: readonly number[]): number;
  /** What bytes take that are copied or summed outside of kernels. */
  copyUs(copying: Copying): number;
}

/**
 * The messages of one piece of a sum, by the algorithms of `runtime/collectives`. On one host a hierarchy is its owner's.
 * @param from by device in the order of the collective, the item after which it begins
 * @returns by device, the item after which it has the sum
 */
export function reducePiece(
  builder: SumBuilder,
  { algorithm, devices }: CollectiveTask,
  bytes: number,
  from: readonly number[],
): number[] {
  switch (algorithm) {
    case 'ring':
      return ring(builder, devices, bytes, from);
    case 'exchange':
      return exchange(builder, devices, bytes, from);
    case 'owner':
    case 'hierarchical':
      return owner(builder, devices, bytes, from);
  }
}

function ring(builder: SumBuilder, devices: readonly number[], bytes: number, from: readonly number[]): number[] {
  const share = bytes / devices.length;
  let at = [...from];
  for (let round = 0; round < 2 * (devices.length - 1); round++) {
    const came: number[][] = devices.map(() => []);
    const useUs = round < devices.length - 1 ? summing(builder, share) : copying(builder, share);
    const sent = devices.map((device, rank) => {
      const next = (rank + 1) % devices.length;
      return builder.message({ from: device, to: devices[next]!, bytes: share, useUs }, at[rank]!, came[next]!);
    });
    at = devices.map((device, rank) => builder.javaScript(device, 0, [sent[rank]!, ...came[rank]!]));
  }
  return at;
}

function exchange(builder: SumBuilder, devices: readonly number[], bytes: number, from: readonly number[]): number[] {
  const came: number[][] = devices.map(() => []);
  const sent = devices.map((device, rank) => {
    const copied = builder.javaScript(device, copying(builder, bytes), [from[rank]!]);
    const useUs = summing(builder, bytes);
    return devices.reduce((at, to, k) => {
      const follows = at !== copied;
      return k === rank ? at : builder.message({ from: device, to, bytes, useUs, follows }, at, came[k]!);
    }, copied);
  });
  return devices.map((device, rank) => builder.javaScript(device, 0, [sent[rank]!, ...came[rank]!]));
}

function owner(builder: SumBuilder, devices: readonly number[], bytes: number, from: readonly number[]): number[] {
  const [first, ...others] = devices;
  const came: number[] = [];
  const sent = others.map((device, i) =>
    builder.message({ from: device, to: first!, bytes, useUs: summing(builder, bytes) }, from[i + 1]!, came),
  );
  let at = builder.javaScript(first!, 0, [from[0]!, ...came]);
  const ends = others.map((device, i) => {
    const back: number[] = [];
    const useUs = copying(builder, bytes);
    at = builder.message({ from: first!, to: device, bytes, useUs, follows: i > 0 }, at, back);
    return builder.javaScript(device, 0, [sent[i]!, ...back]);
  });
  return [at, ...ends];
}

function summing(builder: SumBuilder, bytes: number): number {
  const summed = isLongSum(bytes / BYTES_PER_ELEMENT) ? { longSummedBytes: bytes } : { summedBytes: bytes };
  return builder.copyUs({ ...NO_COPYING, ...summed, runs: 1 });
}

function copying(builder: SumBuilder, bytes: number): number {
  return builder.copyUs({ ...NO_COPYING, copiedBytes: bytes, runs: 1 });
}

import type { Dimension } from '../../ops/op.ts';
import { divisorsUpTo } from '../../region/divisors.ts';
import { partsOf } from '../../strategy/partition.ts';

/**
 * Which devices share an op. `blocks`: consecutive ones, from a multiple of their number on. `sets`: any, ascending. `orders`:
 * any in any order.
 */
export type DeviceLists = 'blocks' | 'sets' | 'orders';

/** All degrees, each a divisor of its dimension, whose product is at most a bound. */
export function degreesUpTo(dimensions: readonly Dimension[], bound: number): number[][] {
  return dimensions.reduce<number[][]>(
    (rows, { size }) =>
      rows.flatMap((row) => divisorsUpTo(size, Math.floor(bound / partsOf(row))).map((degree) => [...row, degree])),
    [[]],
  );
}

/**
 * Devices of the parts that degrees make: equally many parts for each device of a list, consecutive ones or in turn.
 * @param partsPerDevice at most
 */
export function placementsOf(
  degrees: readonly number[],
  deviceCount: number,
  lists: DeviceLists,
  partsPerDevice: number,
): number[][] {
  const parts = partsOf(degrees);
  return divisorsUpTo(parts, partsPerDevice).flatMap((each) =>
    deviceLists(parts / each, deviceCount, lists).flatMap((list) => dealt(parts, list)),
  );
}

function dealt(parts: number, list: readonly number[]): number[][] {
  const deal = (rankOf: (part: number) => number): number[] =>
    Array.from({ length: parts }, (_, part) => list[rankOf(part)]!);
  const inTurn = deal((part) => part % list.length);
  const consecutive = deal((part) => Math.floor((part * list.length) / parts));
  return parts === list.length || list.length === 1 ? [inTurn] : [inTurn, consecutive];
}

function deviceLists(length: number, deviceCount: number, kind: DeviceLists): number[][] {
  if (kind === 'blocks') {
    return Array.from({ length: Math.floor(deviceCount / length) }, (_, block) =>
      Array.from({ length }, (__, i) => block * length + i),
    );
  }
  let lists: number[][] = [[]];
  for (let i = 0; i < length; i++) {
    lists = lists.flatMap((list) => {
      const first = kind === 'sets' ? (list.at(-1) ?? -1) + 1 : 0;
      const devices = Array.from({ length: Math.max(0, deviceCount - first) }, (_, k) => first + k);
      return devices.filter((device) => !list.includes(device)).map((device) => [...list, device]);
    });
  }
  return lists;
}

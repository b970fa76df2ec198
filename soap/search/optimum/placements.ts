import type { Dimension } from '../../ops/op.ts';
import { divisorsUpTo } from '../../strategy/divisors.ts';

/**
 * On which devices the parts of an op may be, each on its own. `blocks`: consecutive devices, from a multiple of their number
 * on. `sets`: any devices, ascending. `orders`: any devices in any order.
 */
export type Placements = 'blocks' | 'sets' | 'orders';

/** All degrees, each a divisor of its dimension, whose product is at most a bound. */
export function degreesUpTo(dimensions: readonly Dimension[], bound: number): number[][] {
  return dimensions.reduce<number[][]>(
    (rows, { size }) =>
      rows.flatMap((row) => divisorsUpTo(size, Math.floor(bound / partsOf(row))).map((degree) => [...row, degree])),
    [[]],
  );
}

/** Device lists of a kind for the parts that degrees make. */
export function placementsOf(degrees: readonly number[], deviceCount: number, kind: Placements): number[][] {
  const parts = partsOf(degrees);
  if (kind === 'blocks') {
    return Array.from({ length: Math.floor(deviceCount / parts) }, (_, block) =>
      Array.from({ length: parts }, (__, part) => block * parts + part),
    );
  }
  let lists: number[][] = [[]];
  for (let part = 0; part < parts; part++) {
    lists = lists.flatMap((list) => {
      const first = kind === 'sets' ? (list.at(-1) ?? -1) + 1 : 0;
      const devices = Array.from({ length: deviceCount - first }, (_, i) => first + i);
      return devices.filter((device) => !list.includes(device)).map((device) => [...list, device]);
    });
  }
  return lists;
}

/** Parts that degrees make. */
export function partsOf(degrees: readonly number[]): number {
  return degrees.reduce((a, b) => a * b, 1);
}

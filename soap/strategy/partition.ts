import type { Dimension } from '../ops/op.ts';
import type { Interval } from '../region/region.ts';

/** Parts of one op at most, and devices: what fits into the key of a task. */
export const MAX_PARTS: number = 2 ** 13;

/** Number of parts that degrees make. */
export function partsOf(degrees: readonly number[]): number {
  return degrees.reduce((a, b) => a * b, 1);
}

/**
 * The intervals of each dimension that the parts have, one list per part, row-major over the degrees. A dimension's parts
 * have equal size, so its degree divides its size.
 */
export function partRanges(dimensions: readonly Dimension[], degrees: readonly number[]): Interval[][] {
  return dimensions.reduce<Interval[][]>(
    (parts, { size }, index) => {
      const degree = degrees[index]!;
      const extent = size / degree;
      const intervals = Array.from({ length: degree }, (_, k): Interval => [k * extent, (k + 1) * extent]);
      return parts.flatMap((ranges) => intervals.map((interval) => [...ranges, interval]));
    },
    [[]],
  );
}

import type { Shape } from '../graph/graph.ts';
import type { Dimension } from '../ops/op.ts';
import type { Interval, Region } from './region.ts';
import { wholeRegion } from './region.ts';
import type { OpConfig } from './strategy.ts';

/** Number of parts of a configuration. */
export function partCount(config: OpConfig): number {
  return config.degrees.reduce((a, b) => a * b, 1);
}

/**
 * The boxes of an op's first output, one per part, row-major over the degrees. A dimension's parts have equal size, so its
 * degree divides the extent of its axis.
 */
export function partRegions(output: Shape, dimensions: readonly Dimension[], degrees: readonly number[]): Region[] {
  let regions: Interval[][] = [[...wholeRegion(output)]];
  dimensions.forEach(({ axis }, index) => {
    const degree = degrees[index]!;
    if (degree === 1) return;
    regions = regions.flatMap((region) => cut(region, axis, degree));
  });
  return regions;
}

function cut(region: readonly Interval[], axis: number, degree: number): Interval[][] {
  const [start, end] = region[axis]!;
  const extent = (end - start) / degree;
  return Array.from({ length: degree }, (_, k) => region.with(axis, [start + k * extent, start + (k + 1) * extent]));
}

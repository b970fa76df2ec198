import type { Dimension } from '../ops/op.ts';
import { largestDivisor } from '../region/divisors.ts';
import type { OpConfig } from '../strategy/strategy.ts';
import { partsOf } from '../strategy/partition.ts';

/** An op in one part. */
export function wholeConfig(dimensions: readonly Dimension[], device: number): OpConfig {
  return { degrees: dimensions.map(() => 1), devices: [device] };
}

/** An op cut along the dimension of an index, a part for each of the first devices, as many as its size allows. */
export function cutConfig(dimensions: readonly Dimension[], index: number, devices: readonly number[]): OpConfig {
  const dimension = dimensions[index];
  if (dimension === undefined) return wholeConfig(dimensions, devices[0]!);
  const degree = largestDivisor(dimension.size, devices.length);
  return { degrees: dimensions.map((_, i) => (i === index ? degree : 1)), devices: devices.slice(0, degree) };
}

/** An op cut by sample; whole where it has no samples. */
export function sampleConfig(dimensions: readonly Dimension[], devices: readonly number[]): OpConfig {
  return cutConfig(
    dimensions,
    dimensions.findIndex(({ kind }) => kind === 'sample'),
    devices,
  );
}

/**
 * An op whose samples go over the nodes, and whose dimension of an index over the devices of each, as many as its size allows.
 * @param nodes device ids by node, equally many of each
 */
export function nodeGridConfig(
  dimensions: readonly Dimension[],
  index: number,
  nodes: readonly (readonly number[])[],
): OpConfig {
  const sample = dimensions.findIndex(({ kind }) => kind === 'sample');
  const outer = sample < 0 ? 1 : largestDivisor(dimensions[sample]!.size, nodes.length);
  const inner = largestDivisor(dimensions[index]!.size, nodes[0]!.length);
  const degrees = dimensions.map((_, i) => (i === sample ? outer : i === index ? inner : 1));
  return gridConfig(degrees, (at) => nodes[sample < 0 ? 0 : at[sample]!]![at[index]!]!);
}

/** An op with these degrees, its parts on the devices of their indices along the dimensions. */
export function gridConfig(degrees: readonly number[], deviceOf: (index: readonly number[]) => number): OpConfig {
  const parts = partsOf(degrees);
  const index = degrees.map(() => 0);
  const devices = Array.from({ length: parts }, (_, part) => {
    let rest = part;
    for (let i = degrees.length - 1; i >= 0; i--) {
      index[i] = rest % degrees[i]!;
      rest = Math.floor(rest / degrees[i]!);
    }
    return deviceOf(index);
  });
  return { degrees, devices };
}

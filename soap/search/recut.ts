import type { Dimension } from '../ops/op.ts';
import type { OpConfig } from '../strategy/strategy.ts';
import { partsOf } from '../strategy/partition.ts';

/** Each part cut in two along the samples, where it is; undefined where samples cannot be cut so. */
export function withHalvedParts(
  { degrees, devices }: OpConfig,
  dimensions: readonly Dimension[],
): OpConfig | undefined {
  const sample = dimensions.findIndex(({ kind }) => kind === 'sample');
  if (sample < 0 || dimensions[sample]!.size % (2 * degrees[sample]!) !== 0) return undefined;
  const inner = partsWithin(degrees, sample);
  return {
    degrees: degrees.with(sample, 2 * degrees[sample]!),
    devices: Array.from({ length: 2 * devices.length }, (_, part) => {
      const block = Math.floor(part / inner);
      return devices[Math.floor(block / 2) * inner + (part % inner)]!;
    }),
  };
}

/** Undoes {@link withHalvedParts}; undefined where parts that would be one are on different devices. */
export function withDoubledParts(
  { degrees, devices }: OpConfig,
  dimensions: readonly Dimension[],
): OpConfig | undefined {
  const sample = dimensions.findIndex(({ kind }) => kind === 'sample');
  if (sample < 0 || degrees[sample]! % 2 !== 0) return undefined;
  const inner = partsWithin(degrees, sample);
  const isFirst = (part: number): boolean => Math.floor(part / inner) % 2 === 0;
  if (devices.some((device, part) => isFirst(part) && devices[part + inner] !== device)) return undefined;
  return { degrees: degrees.with(sample, degrees[sample]! / 2), devices: devices.filter((_, part) => isFirst(part)) };
}

/** Parts that differ only in the dimensions after one: those vary fastest. */
function partsWithin(degrees: readonly number[], dimension: number): number {
  return partsOf(degrees.slice(dimension + 1));
}

import { stridesOf } from './indexing.ts';
import type { OnnxTensor } from './model.ts';

/**
 * Vectors of indices, as of GatherND, [..., K], as positions in a tensor of the K extents, row-major. An index below 0 counts from the end
 * of its axis.
 * @returns undefined where one is beyond its axis
 */
export function flatPositions({ shape, data }: OnnxTensor, extents: readonly number[]): number[] | undefined {
  const [count, strides] = [shape.at(-1) ?? 0, stridesOf(extents)];
  const positions = Array.from({ length: count === 0 ? 0 : data.length / count }, () => 0);
  for (const [i, value] of data.entries()) {
    const [axis, index] = [i % count, Number(value)];
    const extent = extents[axis]!;
    if (index < -extent || index >= extent) return undefined;
    positions[Math.floor(i / count)]! += (index < 0 ? index + extent : index) * strides[axis]!;
  }
  return positions;
}

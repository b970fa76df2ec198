import type { Region } from '../../region/region.ts';
import { regionVolume } from '../../region/region.ts';

/** Boxes of one tensor, one per part, packed: start and end of each axis in turn. */
export interface Boxes {
  readonly rank: number;
  readonly bounds: Int32Array;
  /** By part, whether it has a box at all. */
  readonly present: Uint8Array;
  /** Whether every part has one with elements in it. */
  readonly isEverywhere: boolean;
}

/** Packs boxes of equal rank; undefined where a part has none. */
export function packBoxes(regions: readonly (Region | undefined)[], rank: number): Boxes {
  const bounds = new Int32Array(regions.length * rank * 2);
  const present = new Uint8Array(regions.length);
  regions.forEach((region, part) => {
    if (region === undefined) return;
    present[part] = 1;
    region.forEach(([start, end], axis) => {
      bounds[(part * rank + axis) * 2] = start;
      bounds[(part * rank + axis) * 2 + 1] = end;
    });
  });
  const isEverywhere = regions.every((region) => region !== undefined && regionVolume(region) > 0);
  return { rank, bounds, present, isEverywhere };
}

/** Elements of a part's box; 0 where it has none. */
export function boxVolume({ rank, bounds, present }: Boxes, part: number): number {
  if (present[part] === 0) return 0;
  let volume = 1;
  for (let axis = 0; axis < rank; axis++) {
    const at = (part * rank + axis) * 2;
    volume *= bounds[at + 1]! - bounds[at]!;
  }
  return volume;
}

/** Elements that the boxes of two parts share. */
export function sharedVolume(a: Boxes, partA: number, b: Boxes, partB: number): number {
  let volume = 1;
  for (let axis = 0; axis < a.rank; axis++) {
    const [atA, atB] = [(partA * a.rank + axis) * 2, (partB * b.rank + axis) * 2];
    const start = Math.max(a.bounds[atA]!, b.bounds[atB]!);
    const end = Math.min(a.bounds[atA + 1]!, b.bounds[atB + 1]!);
    if (start >= end) return 0;
    volume *= end - start;
  }
  return volume;
}

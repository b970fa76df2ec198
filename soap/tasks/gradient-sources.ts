import type { Region } from '../region/region.ts';
import { intersect } from '../region/region.ts';
import type { Layout, PlacedPart } from './layout.ts';

/** The parts whose backward task contributes to the gradient of a box of a parameter, by op, then part. */
export function gradientSources(layout: Layout, tensor: number, region: Region): PlacedPart[] {
  return layout.readers[tensor]!.flatMap(({ op, input }) =>
    layout.parts[op.id]!.filter((part) => {
      const read = part.inputs[input];
      return read !== undefined && intersect(read, region) !== undefined;
    }),
  );
}

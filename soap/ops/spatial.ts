import type { Shape } from '../graph/graph.ts';
import type { Dimension, DimensionKind } from './op.ts';

/** Names of the axes behind sample and channel, by their number: a signal, an image, a volume. */
const NAMES: readonly (readonly string[])[] = [[], ['length'], ['height', 'width'], ['depth', 'height', 'width']];

/** Every name that a spatial dimension may have. */
export const SPATIAL_NAMES: readonly string[] = [...new Set(NAMES.flat())];

/** Spatial axes that ops take at most. */
export const MAX_SPATIAL: number = NAMES.length - 1;

/** What the channels of an op are, and where they differ from the axes, how many units each axis consists of. */
interface Units {
  readonly channel: DimensionKind;
  readonly channels?: number;
  readonly spatial?: readonly number[];
}

/** Dimensions of an op whose output is [N, C, ...spatial], with up to {@link MAX_SPATIAL} spatial axes. */
export function spatialDimensions(shape: Shape, { channel, channels, spatial }: Units): readonly Dimension[] {
  const [samples, width, ...extents] = shape;
  return [
    { name: 'sample', kind: 'sample', size: samples!, axis: 0 },
    { name: 'channel', kind: channel, size: channels ?? width!, axis: 1 },
    ...NAMES[extents.length]!.map((name, i): Dimension => ({
      name,
      kind: 'attribute',
      size: (spatial ?? extents)[i]!,
      axis: i + 2,
    })),
  ];
}

/** The spatial axes of [N, C, ...spatial], counted from the first axis of all. */
export function spatialAxes(shape: Shape): number[] {
  return shape.slice(2).map((_, i) => i + 2);
}

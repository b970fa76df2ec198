type Coordinates = 'half_pixel' | 'pytorch_half_pixel' | 'half_pixel_symmetric' | 'align_corners' | 'asymmetric';
type Rounding = 'round_prefer_floor' | 'round_prefer_ceil' | 'floor' | 'ceil';

/** How results lie between the elements of an axis, by the names of ONNX. */
export interface Sampling {
  readonly mode: 'nearest' | 'linear';
  readonly coordinates: Coordinates;
  /** Which element is the nearest, where the mode is that. */
  readonly rounding: Rounding;
}

/** So much of an element. */
export interface Tap {
  readonly element: number;
  readonly share: number;
}

interface Axis {
  /** Elements, and results. */
  readonly from: number;
  readonly to: number;
  readonly scale: number;
}

const halfPixel = (at: number, { scale }: Axis): number => (at + 0.5) / scale - 0.5;

/** Where a result lies among the elements. Source: https://onnx.ai/onnx/operators/onnx__Resize.html, coordinate_transformation_mode */
const COORDINATES: Readonly<Record<Coordinates, (at: number, axis: Axis) => number>> = {
  half_pixel: halfPixel,
  pytorch_half_pixel: (at, axis) => (axis.to > 1 ? halfPixel(at, axis) : 0),
  half_pixel_symmetric: (at, axis) => {
    const adjustment = axis.to / (axis.scale * axis.from);
    return (axis.from / 2) * (1 - adjustment) + halfPixel(at, axis);
  },
  align_corners: (at, { from, to }) => (to === 1 ? 0 : (at * (from - 1)) / (to - 1)),
  asymmetric: (at, { scale }) => at / scale,
};

/** Source: as above, nearest_mode. */
const ROUNDING: Readonly<Record<Rounding, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Whether these are names of what {@link interpolation} computes. */
export function isSampling(names: Readonly<Record<keyof Sampling, string>>): names is Sampling {
  const { mode, coordinates, rounding } = names;
  return (
    (mode === 'nearest' || mode === 'linear') &&
    Object.hasOwn(COORDINATES, coordinates) &&
    Object.hasOwn(ROUNDING, rounding)
  );
}

/**
 * What a result takes of the elements of its axis; those outside are as the outermost.
 * @param at which result
 * @param from how many elements there are
 */
export function interpolation(
  at: number,
  from: number,
  { scale, extent }: { readonly scale: number; readonly extent: number },
  { mode, coordinates, rounding }: Sampling,
): readonly Tap[] {
  const x = COORDINATES[coordinates](at, { from, to: extent, scale });
  const inside = (element: number): number => Math.min(Math.max(element, 0), from - 1);
  if (mode === 'nearest') return [{ element: inside(ROUNDING[rounding](x)), share: 1 }];
  const before = Math.floor(x);
  return [
    { element: inside(before), share: 1 - (x - before) },
    { element: inside(before + 1), share: x - before },
  ];
}

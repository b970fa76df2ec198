/** All places of some extents, row-major. */
export function placesOf(extents: readonly number[]): number[][] {
  return extents.reduce<number[][]>(
    (places, extent) => places.flatMap((place) => Array.from({ length: extent }, (_, at) => [...place, at])),
    [[]],
  );
}

/** How many there are. */
export function placeCount(extents: readonly number[]): number {
  return extents.reduce((a, b) => a * b, 1);
}

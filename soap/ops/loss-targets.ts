import type { Attributes, Shape } from '../graph/graph.ts';
import type { Interval, Region } from '../region/region.ts';
import { OpError } from './op.ts';

/** Which input of a loss is what it should have been. */
export const TARGETS_INPUT = 1;

/**
 * Checks that targets fit a loss: of the shape that goes with the predictions, or longer along axis 1 where the loss has an
 * attribute `start` and reads only its piece of them, which starts there.
 * @throws {OpError} with both shapes
 */
export function requireTargets(kind: string, targets: Shape | undefined, wanted: Shape, attributes: Attributes): void {
  const start = attributes['start'];
  const fits =
    targets?.length === wanted.length &&
    targets.every((extent, axis) =>
      axis === 1 && typeof start === 'number' ? extent >= start + wanted[axis]! : extent === wanted[axis],
    );
  if (fits) return;
  const piece = typeof start === 'number' ? `, or longer from ${start} on along axis 1` : '';
  throw new OpError(`${kind} has targets of shape [${targets}]; expected [${wanted}]${piece}`);
}

/** The box of the targets that goes with a box of the losses. */
export function targetRegion(attributes: Attributes, box: Region): Region {
  const start = attributes['start'];
  if (typeof start !== 'number') return box;
  return box.map(([from, to], axis): Interval => (axis === 1 ? [start + from, start + to] : [from, to]));
}

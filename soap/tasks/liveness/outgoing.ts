import { sameRegion } from '../../region/region.ts';
import type { PlacedPart } from '../layout.ts';
import type { Readers } from '../readers.ts';
import type { Value } from './values.ts';

/** What a message holds of a value. */
interface OutgoingValue {
  readonly value: Value;
  /** Whether it is the value as it is. */
  readonly whole: boolean;
}

/** What a part sends to other devices when a direction is done. @param memory its values by name */
export function outgoingValues(
  readers: Readers,
  direction: 'forward' | 'backward',
  part: PlacedPart,
  memory: ReadonlyMap<string, Value>,
): OutgoingValue[] {
  if (direction === 'forward') {
    return part.outputs.flatMap((frame, output) =>
      readers
        .activationsSent(part, output)
        .map(({ region }) => ({ value: memory.get(`output${output}`)!, whole: sameRegion(region, frame) })),
    );
  }
  return part.inputs.flatMap((frame, input) => {
    const value = memory.get(`gradInput${input}`);
    if (frame === undefined || value === undefined) return [];
    return readers.gradientsSent(part, input).map(({ region }) => ({ value, whole: sameRegion(region, frame) }));
  });
}

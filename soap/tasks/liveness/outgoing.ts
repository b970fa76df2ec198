import { sameRegion } from '../../strategy/region.ts';
import type { Layout, PlacedPart } from '../layout.ts';
import { hasBackward } from '../layout.ts';
import type { Readers } from './readers.ts';
import type { Value } from './values.ts';

interface OutgoingContext {
  readonly layout: Layout;
  readonly readers: Readers;
}

/** What a message holds of a value. */
interface OutgoingValue {
  readonly value: Value;
  /** Whether it is the value as it is. */
  readonly whole: boolean;
}

/** What a part sends to other devices when a direction is done. @param memory its values by name */
export function outgoingValues(
  { layout, readers }: OutgoingContext,
  direction: 'forward' | 'backward',
  part: PlacedPart,
  memory: ReadonlyMap<string, Value>,
): OutgoingValue[] {
  if (direction === 'forward') {
    return part.outputs.flatMap((frame, output) =>
      readers
        .ofOutput(part, output)
        .filter(({ consumer }) => consumer.device !== part.device)
        .map(({ region }) => ({ value: memory.get(`output${output}`)!, whole: sameRegion(region, frame) })),
    );
  }
  return part.inputs.flatMap((frame, input) => {
    const value = memory.get(`gradInput${input}`);
    if (frame === undefined || value === undefined) return [];
    return readers
      .pieces(part, input)
      .filter(({ producer }) => producer.device !== part.device && hasBackward(layout, producer))
      .map(({ region }) => ({ value, whole: sameRegion(region, frame) }));
  });
}

import type { Region } from '../../strategy/region.ts';
import { sameRegion } from '../../strategy/region.ts';
import type { Value, ValueStage } from './values.ts';

/** A value and the box of its tensor that it holds. */
export interface BoxedValue {
  readonly value: Value;
  readonly frame: Region;
}

/** A box that a task reads, and the value of the same device that has it; undefined where a message does. */
export interface ValueSource {
  readonly region: Region;
  readonly from: BoxedValue | undefined;
}

/** How a value is put together: the twin of `runtime/program/assembly.ts`. */
export interface AssembledValue {
  readonly value: Value;
  /** The kernel that completes it, where one can. */
  readonly stage: ValueStage | undefined;
  readonly receives: boolean;
  /** Values of the device that are copied to it; none where it is one of them. */
  readonly copies: readonly Value[];
  readonly filled: boolean;
}

/** Memory that something else fills. */
export function still(value: Value): AssembledValue {
  return { value, stage: undefined, receives: false, copies: [], filled: false };
}

/**
 * One source of the whole frame is taken as it is; several are added up by a kernel; all else is put together.
 * @param sums whether sources are added up
 * @param create makes the value where it is none of the sources
 */
export function assembled(
  frame: Region,
  sources: readonly ValueSource[],
  sums: boolean,
  create: () => Value,
): AssembledValue {
  const whole = sources.flatMap(({ region, from }) =>
    from !== undefined && sameRegion(region, frame) && sameRegion(from.frame, frame) ? [from.value] : [],
  );
  const allWhole = sources.length > 0 && whole.length === sources.length;
  if (allWhole && whole.length === 1) return still(whole[0]!);
  const value = create();
  if (allWhole && sums) return { ...still(value), stage: { reads: whole, writes: [value] } };
  const copies = sources.flatMap(({ from }) => (from === undefined ? [] : [from.value]));
  return { value, stage: undefined, receives: copies.length < sources.length, copies, filled: true };
}

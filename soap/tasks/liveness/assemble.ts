import type { Region } from '../../region/region.ts';
import type { BoxSource } from '../assembly.ts';
import { assembling } from '../assembly.ts';
import type { Value, ValueStage } from './values.ts';

/** A value as `Assembly` of runtime/program has memory. */
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
 * A value that is put together: see {@link assembling}.
 * @param sums whether sources are added up
 * @param create makes the value where it is none of the sources
 */
export function assembled(
  frame: Region,
  sources: readonly BoxSource<Value>[],
  sums: boolean,
  create: () => Value,
): AssembledValue {
  const way = assembling(frame, sources, sums);
  if (way.kind === 'shared') return still(way.memory);
  const value = create();
  if (way.kind === 'summed') return { ...still(value), stage: { reads: way.terms, writes: [value] } };
  return { value, stage: undefined, receives: way.receives, copies: way.copies, filled: true };
}

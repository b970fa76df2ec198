import type { Boxed, Region } from '../region/region.ts';
import { sameRegion } from '../region/region.ts';

/** A box that a task reads, and the memory of the same device that has it; undefined where a message brings it. */
export interface BoxSource<Memory> {
  readonly region: Region;
  readonly from?: Boxed<Memory> | undefined;
}

/** How memory comes to hold what a task reads. */
export type Assembling<Memory> =
  /** It is that of the one source. */
  | { readonly kind: 'shared'; readonly memory: Memory }
  /** A kernel adds up memories of this device. */
  | { readonly kind: 'summed'; readonly terms: readonly Memory[] }
  /** It is put together outside of kernels, of memories of this device and of messages, if it waits for any. */
  | { readonly kind: 'filled'; readonly copies: readonly Memory[]; readonly receives: boolean };

/**
 * One source of the whole frame is taken as it is; several are added up by a kernel; all else is put together. What runs, what is timed
 * and what its memory is planned by all ask it.
 * @param sums whether sources are added up; else each element comes from exactly one
 */
export function assembling<Memory>(
  frame: Region,
  sources: readonly BoxSource<Memory>[],
  sums: boolean,
): Assembling<Memory> {
  const whole = sources.flatMap(({ region, from }) =>
    from !== undefined && sameRegion(region, frame) && sameRegion(from.frame, frame) ? [from.memory] : [],
  );
  if (whole.length === sources.length) {
    const [first, ...others] = whole;
    if (first !== undefined && others.length === 0) return { kind: 'shared', memory: first };
    if (sums && others.length > 0) return { kind: 'summed', terms: whole };
  }
  const copies = sources.flatMap(({ from }) => (from === undefined ? [] : [from.memory]));
  return { kind: 'filled', copies, receives: copies.length < sources.length };
}

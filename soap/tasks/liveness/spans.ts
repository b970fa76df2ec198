import type { Span } from './slots.ts';

/** What a segment does with memory. */
export interface SegmentUse<Memory> {
  /** What its kernel reads and writes, and what is put together or copied for it before it runs. */
  readonly uses: Iterable<Memory>;
  /** Of that, what is looked at until the pass is over: messages on their way, losses. */
  readonly leaves: Iterable<Memory>;
}

/**
 * The segments in which memory is needed, in the order in which a device runs them: from the first that uses it to the last, or
 * to the end. One segment runs after the other, so memory that no segment needs both of may share its place. What the host fills
 * or copies for a segment, it fills and copies between that one and the one before.
 */
export function spansOf<Memory>(segments: readonly SegmentUse<Memory>[]): Map<Memory, Span> {
  const spans = new Map<Memory, Span>();
  segments.forEach(({ uses }, to) => {
    for (const memory of uses) spans.set(memory, { from: spans.get(memory)?.from ?? to, to });
  });
  segments.forEach(({ leaves }, index) => {
    for (const memory of leaves) spans.set(memory, { from: spans.get(memory)?.from ?? index, to: Infinity });
  });
  return spans;
}

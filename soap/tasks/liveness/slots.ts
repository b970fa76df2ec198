/** Segments of a device's program in which some memory is needed, the first and the last. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A slot of memory, which holds what is given in turn. */
export interface Slot<Memory> {
  readonly bytes: number;
  readonly held: readonly Memory[];
}

/**
 * Puts what is needed at different times into the same slots: the largest first, each into the smallest slot that is free in
 * all of its span. The sizes of the slots do not depend on the order in which needs are given. Source of the rule: "greedy by size" of Pisarchyk
 * and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 4.
 */
export function assignSlots<Memory>(
  needs: ReadonlyMap<Memory, Span>,
  bytesOf: (memory: Memory) => number,
): Slot<Memory>[] {
  const ordered = [...needs].sort(
    ([a, first], [b, second]) => bytesOf(b) - bytesOf(a) || first.from - second.from || first.to - second.to,
  );
  const slots: { readonly bytes: number; readonly held: Memory[]; readonly spans: Span[] }[] = [];
  for (const [memory, span] of ordered) {
    const slot = slots.findLast(({ spans }) => spans.every((other) => !overlap(span, other)));
    if (slot === undefined) slots.push({ bytes: bytesOf(memory), held: [memory], spans: [span] });
    else {
      slot.held.push(memory);
      slot.spans.push(span);
    }
  }
  return slots.map(({ bytes, held }) => ({ bytes, held }));
}

/** Whether two spans have a segment in common. */
function overlap(a: Span, b: Span): boolean {
  return a.from <= b.to && b.from <= a.to;
}

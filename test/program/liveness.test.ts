import test from 'ava';
import * as fc from 'fast-check';
import { assignSlots } from '../../soap/tasks/liveness/slots.ts';
import type { SegmentUse } from '../../soap/tasks/liveness/spans.ts';
import { spansOf } from '../../soap/tasks/liveness/spans.ts';

const MEMORIES = 12;
const memories = fc.uniqueArray(fc.nat(MEMORIES - 1), { maxLength: 5 });
const program = fc.array(
  fc.record({ uses: memories, leaves: memories }).map(({ uses, leaves }): SegmentUse<number> => {
    return { uses: [...uses, ...leaves], leaves };
  }),
  { minLength: 1, maxLength: 10 },
);
const sizes = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: MEMORIES, maxLength: MEMORIES });

/** Whether memory holds what somebody may yet look at when a segment runs: asks every segment. */
function isLive(segments: readonly SegmentUse<number>[], memory: number, at: number): boolean {
  const uses = (index: number): boolean => [...segments[index]!.uses].includes(memory);
  const indices = [...segments.keys()];
  const begun = indices.some((index) => index <= at && uses(index));
  const isLeft = segments.some(({ leaves }) => [...leaves].includes(memory));
  return begun && (isLeft || indices.some((index) => index >= at && uses(index)));
}

test('no two memories that are live in one segment share a slot, and each has room in one', (t) => {
  fc.assert(
    fc.property(program, sizes, (segments, bytes) => {
      const slots = assignSlots(spansOf(segments), (memory) => bytes[memory]!);
      const used = new Set(segments.flatMap(({ uses }) => [...uses]));
      t.deepEqual(
        slots.flatMap(({ held }) => held).toSorted((a, b) => a - b),
        [...used].toSorted((a, b) => a - b),
      );
      for (const slot of slots) {
        t.is(slot.bytes, Math.max(...slot.held.map((memory) => bytes[memory]!)));
        for (const at of segments.keys()) {
          t.true(slot.held.filter((memory) => isLive(segments, memory, at)).length <= 1);
        }
      }
    }),
  );
});

test('spans are those that a look at every segment finds', (t) => {
  fc.assert(
    fc.property(program, (segments) => {
      const spans = spansOf(segments);
      for (let memory = 0; memory < MEMORIES; memory++) {
        const span = spans.get(memory);
        for (const at of segments.keys()) {
          t.is(span !== undefined && span.from <= at && at <= span.to, isLive(segments, memory, at));
        }
      }
    }),
  );
});

test('the bytes of slots do not depend on the order in which needs are given', (t) => {
  fc.assert(
    fc.property(program, sizes, (segments, bytes) => {
      const spans = [...spansOf(segments)];
      const total = (needs: typeof spans): number =>
        assignSlots(new Map(needs), (memory) => bytes[memory]!).reduce((sum, slot) => sum + slot.bytes, 0);
      t.is(total(spans), total(spans.toReversed()));
    }),
  );
});

import test from 'ava';
import { CoreGroup } from '../../soap/simulator/host/core-group.ts';
import type { HostItem } from '../../soap/simulator/host/run-items.ts';
import { runItems } from '../../soap/simulator/host/run-items.ts';

/** Items of one thread each, ready at once. */
function oneEach(...us: readonly number[]): HostItem[] {
  return us.map((each, thread): HostItem => ({ thread, us: each, delayUs: 0, successors: [], waitsFor: 0 }));
}

function ends(
  items: readonly HostItem[],
  turns: { sliceUs: number; switchUs?: number; processOf?: number[] },
): number[] {
  const host = { groupOf: items.map(() => 0), cores: 1, groups: 1, crowding: 0 };
  return Array.from(runItems(items, { ...host, ...turns }), Math.round);
}

test('a thread keeps its core for a slice, then goes behind those that wait', (t) => {
  t.deepEqual(ends(oneEach(30, 10), { sliceUs: 100 }), [30, 40]);
  t.deepEqual(ends(oneEach(30, 10), { sliceUs: 5 }), [40, 20]);
  t.deepEqual(ends(oneEach(10, 10, 10), { sliceUs: 5 }), [20, 25, 30]);
  // Nobody waits: nothing is to be switched.
  t.deepEqual(ends(oneEach(30), { sliceUs: 5, switchUs: 10 }), [30]);
});

test('who comes back to a core that others had finds cold caches, for no longer than they had it', (t) => {
  // The second one has the core from 5 to 9.
  const items = oneEach(10, 4);
  t.deepEqual(ends(items, { sliceUs: 5, switchUs: 3, processOf: [0, 1] }), [17, 9]);
  t.deepEqual(ends(oneEach(10, 4), { sliceUs: 5, switchUs: 3, processOf: [0, 0] }), [14, 9]);
  const cold = (switchUs: number): number => {
    const group = new CoreGroup(1, { sliceUs: 5, switchUs, processOf: (thread) => thread });
    const step = (thread: number, nowUs: number): number => {
      group.enter(thread);
      return group.assign(nowUs)[0]!.coldUs;
    };
    const first = step(0, 0);
    group.leave(0, 10);
    const second = step(1, 10);
    group.leave(1, 14);
    t.deepEqual([first, second], [0, 0], 'the first time is no return');
    return step(0, 20);
  };
  t.deepEqual([3, 40].map(cold), [3, 4]);
});

import test from 'ava';
import { CoreGroup } from '../../soap/simulator/host/core-group.ts';
import { HostItems } from '../../soap/simulator/host/host-items.ts';
import { runItems } from '../../soap/simulator/host/run-items.ts';

/** When items end that share a core, one of each thread, ready at once. @param us by thread */
function ends(us: readonly number[], turns: { sliceUs: number; switchUs?: number; processOf?: number[] }): number[] {
  const items = new HostItems();
  us.forEach((each, thread) => items.add(thread, each));
  const host = { groupOf: us.map(() => 0), cores: 1, groups: 1, crowding: 0 };
  return Array.from(runItems(items, { ...host, ...turns }), Math.round);
}

test('a thread keeps its core for a slice, then goes behind those that wait', (t) => {
  t.deepEqual(ends([30, 10], { sliceUs: 100 }), [30, 40]);
  t.deepEqual(ends([30, 10], { sliceUs: 5 }), [40, 20]);
  t.deepEqual(ends([10, 10, 10], { sliceUs: 5 }), [20, 25, 30]);
  // Nobody waits: nothing is to be switched.
  t.deepEqual(ends([30], { sliceUs: 5, switchUs: 10 }), [30]);
});

test('who comes back to a core that others had finds cold caches, for no longer than they had it', (t) => {
  // The second one has the core from 5 to 9.
  const items = [10, 4];
  t.deepEqual(ends(items, { sliceUs: 5, switchUs: 3, processOf: [0, 1] }), [17, 9]);
  t.deepEqual(ends([10, 4], { sliceUs: 5, switchUs: 3, processOf: [0, 0] }), [14, 9]);
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

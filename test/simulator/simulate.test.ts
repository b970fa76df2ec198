import test from 'ava';
import * as fc from 'fast-check';
import { simulateNaively } from '../../soap/simulator/naive.ts';
import type { Hop } from '../../soap/tasks/task-graph.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import {
  RANDOM_DEVICES,
  RANDOM_LINKS,
  randomTaskGraphs,
  reordered,
  shuffles,
  taskGraph,
} from '../support/task-graphs.ts';

test('simulation equals its naive twin to the last bit', (t) => {
  fc.assert(
    fc.property(randomTaskGraphs, (graph) => {
      const [fast, naive] = [simulate(graph), simulateNaively(graph)];
      t.deepEqual(fast.startUs, naive.startUs);
      t.deepEqual(fast.endUs, naive.endUs);
      t.is(fast.makespanUs, naive.makespanUs);
    }),
    { numRuns: 300 },
  );
});

test('the timeline does not depend on the order in which tasks are listed', (t) => {
  const cases = randomTaskGraphs.chain((graph) => fc.tuple(fc.constant(graph), shuffles(graph.tasks.length)));
  fc.assert(
    fc.property(cases, ([graph, order]) => {
      const [before, after] = [simulate(graph), simulate(reordered(graph, order))];
      t.deepEqual(
        [...after.startUs],
        order.map((old) => before.startUs[old]!),
      );
      t.is(after.makespanUs, before.makespanUs);
    }),
    { numRuns: 100 },
  );
});

test('tasks start after their predecessors and never share a resource', (t) => {
  fc.assert(
    fc.property(randomTaskGraphs, (graph) => {
      const { startUs, endUs } = simulate(graph);
      for (const task of graph.tasks) {
        const { id, predecessors } = task;
        if (task.kind === 'transfer') t.true(endUs[id]! >= startUs[id]! + aloneUs(task.hops) - 1e-9);
        else t.is(endUs[id], startUs[id]! + task.durationUs);
        for (const other of predecessors) t.true(startUs[id]! >= endUs[other]!);
      }
      const holding = graph.tasks.filter(({ kind }) => kind !== 'transfer');
      for (let resource = 0; resource < RANDOM_DEVICES + RANDOM_LINKS; resource++) {
        const users = holding.filter(({ resources }) => resources.includes(resource)).map(({ id }) => id);
        users.sort((a, b) => startUs[a]! - startUs[b]! || endUs[a]! - endUs[b]!);
        for (let i = 1; i < users.length; i++) t.true(startUs[users[i]!]! >= endUs[users[i - 1]!]!);
      }
    }),
    { numRuns: 100 },
  );
});

/** What a transfer takes where nothing else is on its way. */
function aloneUs(hops: readonly Hop[]): number {
  const latencyUs = hops.reduce((sum, hop) => sum + hop.latencyUs, 0);
  return latencyUs + Math.max(...hops.map(({ holdUs }) => holdUs));
}

test('transfers share a route link by link: none holds one link while it waits for the next', (t) => {
  const hop = (resource: number, holdUs: number): Hop => ({ resource, holdUs, latencyUs: 1 });
  const transfer = (key: number, hops: readonly Hop[]) => ({
    key,
    durationUs: 0,
    resources: [],
    predecessors: [],
    hops,
  });
  const { startUs, endUs } = simulate(
    taskGraph([transfer(0, [hop(1, 10)]), transfer(1, [hop(0, 4), hop(1, 2)]), transfer(2, [hop(0, 3)])], 0, 2),
  );
  // The second enters link 0 at once and link 1 when the first has passed; the third need not wait for that.
  t.deepEqual([...startUs], [0, 0, 4]);
  t.deepEqual([...endUs], [11, 13, 8]);
});

test('an empty task graph takes no time', (t) => {
  t.is(simulate(taskGraph([], 1)).makespanUs, 0);
});

test('of tasks that are ready together, the lower key goes first', (t) => {
  const graph = taskGraph(
    [
      { key: 9, durationUs: 5, resources: [0], predecessors: [] },
      { key: 2, durationUs: 3, resources: [0], predecessors: [] },
    ],
    1,
  );
  t.deepEqual([...simulate(graph).startUs], [3, 0]);
});

test('a task that was ready earlier goes first, whatever its key', (t) => {
  const graph = taskGraph(
    [
      { key: 1, durationUs: 4, resources: [0], predecessors: [] },
      { key: 2, durationUs: 1, resources: [1], predecessors: [] },
      { key: 3, durationUs: 2, resources: [1], predecessors: [1] },
      { key: 9, durationUs: 1, resources: [0], predecessors: [1] },
      { key: 4, durationUs: 1, resources: [0], predecessors: [2] },
    ],
    2,
  );
  // Task 3 is ready at 1, task 4 at 3; device 0 is free at 4.
  t.deepEqual([...simulate(graph).startUs], [0, 0, 1, 4, 5]);
});

test('a transfer waits until its whole route is free, and holds all of it', (t) => {
  const graph = taskGraph(
    [
      { key: 1, durationUs: 5, resources: [1], predecessors: [] },
      { key: 2, durationUs: 2, resources: [0, 1], predecessors: [] },
      { key: 3, durationUs: 1, resources: [0], predecessors: [] },
    ],
    1,
    1,
  );
  t.deepEqual([...simulate(graph).startUs], [0, 5, 7]);
});

test('a cycle is reported, not simulated', (t) => {
  const graph = taskGraph(
    [
      { key: 1, durationUs: 1, resources: [0], predecessors: [1] },
      { key: 2, durationUs: 1, resources: [0], predecessors: [0] },
    ],
    1,
  );
  t.throws(() => simulate(graph), { message: /cycle/ });
  t.throws(() => simulateNaively(graph), { message: /cycle/ });
});

import test from 'ava';
import * as fc from 'fast-check';
import { deviceBudgets, pathBudget } from '../../soap/explain/budget.ts';
import { simulateWithCauses } from '../../soap/explain/causes.ts';
import { criticalPath } from '../../soap/explain/critical-path.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import type { TaskGraph } from '../../soap/tasks/task-graph.ts';
import { randomTaskGraphs, taskGraph } from '../support/task-graphs.ts';

/** Random tasks may hold several devices, or devices and links; here a task is on one device or on links, as built ones are. */
const realistic: fc.Arbitrary<TaskGraph> = randomTaskGraphs.map((graph) => ({
  ...graph,
  tasks: graph.tasks.map((task) => {
    if (task.kind === 'transfer') return task;
    const device = task.resources.find((resource) => resource < graph.deviceCount);
    return device === undefined ? task : { ...task, resources: [device] };
  }),
}));

const sumOf = (parts: object): number =>
  Object.entries(parts).reduce((sum, [name, us]) => (name === 'device' ? sum : sum + Number(us)), 0);

test('the timeline with causes is that of the simulator, to the last bit', (t) => {
  fc.assert(
    fc.property(randomTaskGraphs, (graph) => {
      t.deepEqual(simulateWithCauses(graph).timeline, simulate(graph));
    }),
    { numRuns: 300 },
  );
});

test('the critical path goes without a gap from 0 to the makespan, each stretch within its task', (t) => {
  fc.assert(
    fc.property(randomTaskGraphs, (graph) => {
      const causes = simulateWithCauses(graph);
      const { startUs, endUs, makespanUs } = causes.timeline;
      const path = criticalPath(causes);
      let atUs = 0;
      for (const { task, fromUs, toUs } of path) {
        if (fromUs !== atUs || !(toUs > fromUs)) return false;
        if (fromUs < startUs[task]! || toUs > endUs[task]!) return false;
        atUs = toUs;
      }
      return atUs === makespanUs && Math.abs(sumOf(pathBudget(causes, path)) - makespanUs) <= 1e-9 * (1 + makespanUs);
    }),
    { numRuns: 1000 },
  );
  t.pass();
});

test("every device's budget adds up to the makespan, and no part is negative", (t) => {
  fc.assert(
    fc.property(realistic, (graph) => {
      const causes = simulateWithCauses(graph);
      const { makespanUs } = causes.timeline;
      return deviceBudgets(causes).every(
        (budget) =>
          Object.values(budget).every((us) => us >= -1e-9) &&
          Math.abs(sumOf(budget) - makespanUs) <= 1e-9 * (1 + makespanUs),
      );
    }),
    { numRuns: 1000 },
  );
  t.pass();
});

test('who waits for a link that others hold is found out, and since when', (t) => {
  const link = 2;
  const hop = (holdUs: number) => [{ resource: link, holdUs, latencyUs: 1 }];
  const graph = taskGraph(
    [
      { key: 0, durationUs: 2, resources: [0], predecessors: [] },
      { key: 1, durationUs: 6, resources: [0], predecessors: [0] },
      { key: 2, durationUs: 11, resources: [link], predecessors: [0], hops: hop(10) },
      { key: 3, durationUs: 5, resources: [link], predecessors: [1], hops: hop(4) },
      { key: 4, durationUs: 3, resources: [1], predecessors: [3] },
    ],
    2,
    1,
  );
  const causes = simulateWithCauses(graph);
  t.deepEqual(criticalPath(causes), [
    { task: 0, fromUs: 0, toUs: 2, waitingFor: -1 },
    { task: 2, fromUs: 2, toUs: 8, waitingFor: -1 },
    { task: 2, fromUs: 8, toUs: 12, waitingFor: link },
    { task: 3, fromUs: 12, toUs: 17, waitingFor: -1 },
    { task: 4, fromUs: 17, toUs: 20, waitingFor: -1 },
  ]);
  t.deepEqual(deviceBudgets(causes)[1], {
    device: 1,
    computeUs: 3,
    updatesUs: 0,
    collectivesUs: 0,
    awaitingTransfersUs: 11,
    awaitingCollectivesUs: 0,
    awaitingLinksUs: 4,
    awaitingDevicesUs: 2,
    finishedUs: 0,
  });
});

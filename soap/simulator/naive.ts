import type { TaskGraph } from '../tasks/task-graph.ts';
import type { Timeline } from './simulate.ts';

/**
 * The same timeline by the obvious way: among all tasks whose predecessors are done, again and again take the one that was
 * ready first. The reference that tests compare {@link simulate} with.
 */
export function simulateNaively({ tasks }: TaskGraph): Timeline {
  const endUs = new Map<number, number>();
  const startUs = new Map<number, number>();
  const freeUs = new Map<number, number>();
  const readyUs = (id: number): number => Math.max(0, ...tasks[id]!.predecessors.map((other) => endUs.get(other)!));
  while (endUs.size < tasks.length) {
    const [next] = tasks
      .filter(({ id, predecessors }) => !endUs.has(id) && predecessors.every((other) => endUs.has(other)))
      .toSorted((a, b) => readyUs(a.id) - readyUs(b.id) || a.key - b.key);
    if (next === undefined) throw new Error('internal: the task graph has a cycle');
    if (next.kind === 'transfer') {
      // The first byte reaches a link after the latencies before; the last leaves it no sooner than it came.
      let [firstUs, lastUs] = [readyUs(next.id), readyUs(next.id)];
      for (const { resource, holdUs, latencyUs } of next.hops) {
        const enterUs = Math.max(firstUs, freeUs.get(resource) ?? 0);
        if (!startUs.has(next.id)) startUs.set(next.id, enterUs);
        freeUs.set(resource, enterUs + holdUs);
        firstUs = enterUs + latencyUs;
        lastUs = Math.max(lastUs, enterUs + holdUs) + latencyUs;
      }
      endUs.set(next.id, lastUs);
      continue;
    }
    const start = Math.max(readyUs(next.id), ...next.resources.map((resource) => freeUs.get(resource) ?? 0));
    startUs.set(next.id, start);
    endUs.set(next.id, start + next.durationUs);
    for (const resource of next.resources) freeUs.set(resource, start + next.durationUs);
  }
  const inOrder = (times: ReadonlyMap<number, number>): Float64Array =>
    Float64Array.from(tasks, ({ id }) => times.get(id)!);
  return { startUs: inOrder(startUs), endUs: inOrder(endUs), makespanUs: Math.max(0, ...endUs.values()) };
}

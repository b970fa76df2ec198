import type { Task, TaskGraph } from '../tasks/task-graph.ts';
import type { Passage } from './pass-route.ts';
import { passRoute } from './pass-route.ts';
import { ReadyQueue } from './ready-queue.ts';

/** When every task starts and ends, indexed by task id, in microseconds from the start of the iteration. */
export interface Timeline {
  readonly startUs: Float64Array;
  readonly endUs: Float64Array;
  readonly makespanUs: number;
}

/**
 * Full simulation (paper, Algorithm 1): a task enters the queue when all its predecessors are complete; the queue is ordered
 * by that ready time, ties by task key; a dequeued task starts when it is ready and everything it holds is free. A transfer
 * passes the links of its route one after the other, see {@link passRoute}.
 */
export function simulate({ tasks, deviceCount, linkCount }: TaskGraph): Timeline {
  const startUs = new Float64Array(tasks.length);
  const endUs = new Float64Array(tasks.length);
  const readyUs = new Float64Array(tasks.length);
  const missing = Int32Array.from(tasks, ({ predecessors }) => predecessors.length);
  const freeUs = new Float64Array(deviceCount + linkCount);
  const queue = new ReadyQueue();
  for (const { id, key } of tasks) if (missing[id] === 0) queue.push(0, key, id);
  let makespanUs = 0;
  let started = 0;
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    started += 1;
    const task = tasks[id]!;
    const passage =
      task.kind === 'transfer' ? passRoute(readyUs[id]!, task.hops, freeUs) : hold(task, readyUs[id]!, freeUs);
    const end = passage.endUs;
    startUs[id] = passage.startUs;
    endUs[id] = end;
    makespanUs = Math.max(makespanUs, end);
    for (const successor of task.successors) {
      const ready = Math.max(readyUs[successor]!, end);
      readyUs[successor] = ready;
      missing[successor]! -= 1;
      if (missing[successor] === 0) queue.push(ready, tasks[successor]!.key, successor);
    }
  }
  if (started < tasks.length) throw new Error('internal: the task graph has a cycle');
  return { startUs, endUs, makespanUs };
}

function hold({ resources, durationUs }: Task, readyUs: number, freeUs: Float64Array): Passage {
  let startUs = readyUs;
  for (const resource of resources) startUs = Math.max(startUs, freeUs[resource]!);
  const endUs = startUs + durationUs;
  for (const resource of resources) freeUs[resource] = endUs;
  return { startUs, endUs };
}

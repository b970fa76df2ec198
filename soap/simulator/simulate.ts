import type { TaskGraph } from '../tasks/task-graph.ts';
import { ReadyQueue } from './ready-queue.ts';

/** When every task starts and ends, indexed by task id, in microseconds from the start of the iteration. */
export interface Timeline {
  readonly startUs: Float64Array;
  readonly endUs: Float64Array;
  readonly makespanUs: number;
}

/**
 * Full simulation (paper, Algorithm 1): a task enters the queue when all its predecessors are complete; the queue is ordered
 * by that ready time, ties by task key; a dequeued task starts when it is ready and everything it holds is free.
 * A task may hold several resources: a transfer holds its whole route.
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
    let start = readyUs[id]!;
    for (const resource of task.resources) start = Math.max(start, freeUs[resource]!);
    const end = start + task.durationUs;
    for (const resource of task.resources) freeUs[resource] = end;
    startUs[id] = start;
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

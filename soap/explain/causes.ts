import type { Timeline } from '../simulator/simulate.ts';
import { ReadyQueue } from '../simulator/ready-queue.ts';
import type { Task, TaskGraph } from '../tasks/task-graph.ts';

/** No task: nothing was waited for. */
export const NO_TASK = -1;

/**
 * One stay of a task at what it holds. A transfer has one for each link of its route; any other task has one, whose
 * resource is the one that was free last.
 */
export interface Stay {
  /** When what it needed before was there. */
  readonly readyUs: number;
  readonly enterUs: number;
  /** When it lets go of what it holds. */
  readonly releaseUs: number;
  /** Added after the release until the next may go on, of a link. */
  readonly latencyUs: number;
  /** The resource that it had to wait for, and who held it last, with the number of that one's stay; else {@link NO_TASK}. */
  readonly resource: number;
  readonly holder: number;
  readonly holderStay: number;
}

/** A timeline with why every task starts when it does. */
export interface Causes {
  readonly graph: TaskGraph;
  readonly timeline: Timeline;
  /** By task id: the predecessor that ended last, or {@link NO_TASK}. */
  readonly lastPredecessor: Int32Array;
  /** By task id. */
  readonly stays: readonly (readonly Stay[])[];
}

/** Who held a resource last, and until when. */
interface Hold {
  readonly task: number;
  readonly stay: number;
  readonly untilUs: number;
}

const FREE: Hold = { task: NO_TASK, stay: 0, untilUs: 0 };

/**
 * Simulates as {@link simulate} does (paper, Algorithm 1), to the same timeline, and writes down what each task waited for:
 * its last predecessor, or who held a resource before it.
 */
export function simulateWithCauses(graph: TaskGraph): Causes {
  const { tasks, deviceCount, linkCount } = graph;
  const startUs = new Float64Array(tasks.length);
  const endUs = new Float64Array(tasks.length);
  const readyUs = new Float64Array(tasks.length);
  const lastPredecessor = new Int32Array(tasks.length).fill(NO_TASK);
  const missing = Int32Array.from(tasks, ({ predecessors }) => predecessors.length);
  const stays = Array.from<readonly Stay[]>({ length: tasks.length });
  const holds = Array.from({ length: deviceCount + linkCount }, () => FREE);
  const queue = new ReadyQueue();
  for (const { id, key } of tasks) if (missing[id] === 0) queue.push(0, key, id);
  let makespanUs = 0;
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    const task = tasks[id]!;
    const ready = readyUs[id]!;
    const own = task.kind === 'transfer' ? passLinks(task.id, task.hops, ready, holds) : [hold(task, ready, holds)];
    const end = own.reduce((tail, { releaseUs, latencyUs }) => Math.max(tail, releaseUs) + latencyUs, ready);
    stays[id] = own;
    startUs[id] = own[0]?.enterUs ?? ready;
    endUs[id] = end;
    makespanUs = Math.max(makespanUs, end);
    for (const successor of task.successors) {
      if (end >= readyUs[successor]!) {
        readyUs[successor] = end;
        lastPredecessor[successor] = id;
      }
      missing[successor]! -= 1;
      if (missing[successor] === 0) queue.push(readyUs[successor]!, tasks[successor]!.key, successor);
    }
  }
  return { graph, timeline: { startUs, endUs, makespanUs }, lastPredecessor, stays };
}

function hold({ id, resources, durationUs }: Task, readyUs: number, holds: Hold[]): Stay {
  let [enterUs, resource, last] = [readyUs, NO_TASK, FREE];
  for (const each of resources) {
    const before = holds[each]!;
    if (before.untilUs > enterUs) [enterUs, resource, last] = [before.untilUs, each, before];
  }
  const releaseUs = enterUs + durationUs;
  for (const each of resources) holds[each] = { task: id, stay: 0, untilUs: releaseUs };
  return { readyUs, enterUs, releaseUs, latencyUs: 0, resource, holder: last.task, holderStay: last.stay };
}

/** As `passRoute`. */
function passLinks(
  id: number,
  hops: readonly { readonly resource: number; readonly holdUs: number; readonly latencyUs: number }[],
  readyUs: number,
  holds: Hold[],
): Stay[] {
  let headUs = readyUs;
  return hops.map(({ resource, holdUs, latencyUs }, stay) => {
    const before = holds[resource]!;
    const waits = before.untilUs > headUs;
    const enterUs = waits ? before.untilUs : headUs;
    const releaseUs = enterUs + holdUs;
    const own: Stay = {
      readyUs: headUs,
      enterUs,
      releaseUs,
      latencyUs,
      resource: waits ? resource : NO_TASK,
      holder: waits ? before.task : NO_TASK,
      holderStay: before.stay,
    };
    holds[resource] = { task: id, stay, untilUs: releaseUs };
    headUs = enterUs + latencyUs;
    return own;
  });
}

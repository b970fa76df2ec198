import type { TaskGraph } from '../../soap/tasks/task-graph.ts';

/** Task ids, after those of the plan, of messages between devices that are no tasks. */
export interface ControlTasks {
  /** A device's share of a result, to the leader. */
  readonly result: number;
  /** The leader's word that every result of a pass has come. */
  readonly word: number;
  /** What devices know of the factor of all gradients. */
  readonly scale: number;
  /** What a device says of a checkpoint, to the leader; and the leader's answer. */
  readonly report: number;
  readonly answer: number;
  /** Where devices of one machine have gradients that the others read; and that they have read them. */
  readonly sharing: number;
  readonly gradientsRead: number;
}

export function controlTasks({ tasks }: TaskGraph): ControlTasks {
  const first = tasks.length;
  return {
    result: first,
    word: first + 1,
    scale: first + 2,
    report: first + 3,
    answer: first + 4,
    sharing: first + 5,
    gradientsRead: first + 6,
  };
}

import type { Layout, PlacedPart } from '../../tasks/layout.ts';
import type { ComputeTask, GatherTask, Task, TaskGraph, TransferTask } from '../../tasks/task-graph.ts';
import type { Copying, MemoryName } from './copies.ts';
import { putTogether } from './copies.ts';

/** A compute task of a device with what the runtime does around it. */
export interface HostStep {
  readonly task: ComputeTask;
  readonly part: PlacedPart;
  /** Transfers and gathers whose messages must have come. */
  readonly receives: readonly (TransferTask | GatherTask)[];
  readonly copying: readonly Copying[];
  /** Memory that is copied before it. */
  readonly copies: readonly MemoryName[];
  readonly transfers: readonly TransferTask[];
  /** The gather that its statistics go to; undefined where there is none. */
  readonly gather: GatherTask | undefined;
  /** Collectives whose gradient it completes on this device. */
  readonly completes: readonly number[];
}

/** Tasks of one direction that are one kernel. */
export interface HostSegment {
  readonly steps: readonly HostStep[];
}

/**
 * Predicted microseconds of work that what is ready to be sent may wait for. Source: `MAX_SEND_DELAY_US` of
 * `runtime/program/segments/cut.ts`, whose twin this file is.
 */
const MAX_SEND_DELAY_US = 150;

/**
 * The segments that a device's tasks make up.
 * @param order the device's compute and update tasks, as the runtime has them
 */
export function hostSegments(layout: Layout, graph: TaskGraph, order: readonly number[]): HostSegment[] {
  const tasks = order.flatMap((id) => {
    const task = graph.tasks[id]!;
    return task.kind === 'forward' || task.kind === 'backward' ? [task] : [];
  });
  const completes = completedBy(graph, tasks);
  const segments: HostSegment[] = [];
  let open: HostStep[] = [];
  let delayUs: number | undefined;
  const close = (): void => {
    if (open.length > 0) segments.push({ steps: open });
    [open, delayUs] = [[], undefined];
  };
  for (const task of tasks) {
    const step = hostStep(layout, graph, task, completes.get(task.id) ?? []);
    if (delayUs !== undefined) delayUs += task.durationUs;
    if ((delayUs ?? 0) > MAX_SEND_DELAY_US || mustCut(open, step)) close();
    open.push(step);
    if (sends(step)) delayUs ??= 0;
  }
  close();
  return segments;
}

function hostStep(layout: Layout, graph: TaskGraph, task: ComputeTask, completes: readonly number[]): HostStep {
  const part = layout.parts[task.op]![task.part]!;
  const successors = task.successors.map((id) => graph.tasks[id]!);
  const second = isSecondStage(graph, task);
  const inputs = second ? [] : putTogether(layout, part, task.kind);
  return {
    task,
    part,
    receives: task.predecessors.map((id) => graph.tasks[id]!).filter(isMessage),
    copying: inputs.map(({ copying }) => copying),
    copies: inputs.flatMap(({ sources }) =>
      sources.flatMap(({ from, memory }) => (from.device === part.device ? [memory] : [])),
    ),
    transfers: successors.filter((next): next is TransferTask => next.kind === 'transfer'),
    gather: successors.find((next): next is GatherTask => next.kind === 'gather'),
    completes,
  };
}

function isMessage(task: Task): task is TransferTask | GatherTask {
  return task.kind === 'transfer' || task.kind === 'gather';
}

/** Whether statistics of the same part come before it. */
function isSecondStage(graph: TaskGraph, { stage, op, kind, predecessors }: ComputeTask): boolean {
  return (
    stage === 'main' &&
    predecessors.some((id) => {
      const before = graph.tasks[id]!;
      if (before.kind === 'gather') return before.op === op;
      return before.kind === kind && before.op === op && before.stage === 'statistics';
    })
  );
}

function sends({ task, transfers, completes }: HostStep): boolean {
  return task.stage === 'statistics' || transfers.length > 0 || completes.length > 0;
}

function mustCut(open: readonly HostStep[], { task, receives, part, copies }: HostStep): boolean {
  if (open.length === 0) return false;
  const first = open[0]!.task;
  if (receives.length > 0 || task.kind !== first.kind) return true;
  if (open.some((each) => each.task.stage === 'statistics' && each.task.op === task.op && task.stage === 'main'))
    return true;
  return copies.some((memory) => open.some((each) => writes(each, memory) && each.part.device === part.device));
}

function writes({ task: { kind, op, part } }: HostStep, memory: MemoryName): boolean {
  return memory.startsWith(`${kind === 'forward' ? 'output' : 'gradient'} ${op} ${part} `);
}

/** By task, the collectives that wait for it last on this device. */
function completedBy({ tasks }: TaskGraph, order: readonly ComputeTask[]): Map<number, number[]> {
  const lastFor = new Map<number, number>();
  for (const { id, successors } of order) {
    for (const next of successors) if (tasks[next]!.kind === 'collective') lastFor.set(next, id);
  }
  const completes = new Map<number, number[]>();
  for (const [collective, task] of lastFor) completes.set(task, [...(completes.get(task) ?? []), collective]);
  return completes;
}

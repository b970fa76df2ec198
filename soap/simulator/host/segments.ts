import type { Layout, PlacedPart } from '../../tasks/layout.ts';
import type {
  CollectiveTask,
  ComputeTask,
  GatherTask,
  Task,
  TaskGraph,
  TransferTask,
  UpdateTask,
} from '../../tasks/task-graph.ts';
import type { Step } from '../../tasks/liveness/cut.ts';
import { cutSteps } from '../../tasks/liveness/cut.ts';
import type { Copying, MemoryName } from './copies.ts';
import { putTogether } from './copies.ts';

/** A compute task of a device with what the runtime does around it. */
export interface HostStep extends Step<ComputeTask, MemoryName> {
  readonly part: PlacedPart;
  /** Transfers and gathers whose messages must have come. */
  readonly messages: readonly (TransferTask | GatherTask)[];
  readonly copying: readonly Copying[];
  readonly transfers: readonly TransferTask[];
  /** The gather that its statistics go to; undefined where there is none. */
  readonly gather: GatherTask | undefined;
  /** Collectives whose gradient it completes on this device. */
  readonly completes: readonly number[];
  /** Shards whose gradient it completes on this device. */
  readonly gradients: readonly number[];
}

/** Tasks of one direction that are one kernel. */
export interface HostSegment {
  readonly steps: readonly HostStep[];
}

/**
 * The segments that a device's tasks make up.
 * @param order the device's compute and update tasks, as the runtime has them
 */
export function hostSegments(layout: Layout, graph: TaskGraph, order: readonly number[]): HostSegment[] {
  const tasks = order.flatMap((id) => {
    const task = graph.tasks[id]!;
    return task.kind === 'forward' || task.kind === 'backward' ? [task] : [];
  });
  const completed = completedBy(graph, tasks);
  const steps = tasks.map((task) => hostStep(layout, graph, task, completed.get(task.id) ?? []));
  return cutSteps<MemoryName, HostStep>(steps, writtenBy);
}

function hostStep(
  layout: Layout,
  graph: TaskGraph,
  task: ComputeTask,
  completed: readonly (CollectiveTask | UpdateTask)[],
): HostStep {
  const part = layout.parts[task.op]![task.part]!;
  const successors = task.successors.map((id) => graph.tasks[id]!);
  const second = isSecondStage(graph, task);
  const inputs = second ? [] : putTogether(layout, part, task.kind);
  const messages = task.predecessors.map((id) => graph.tasks[id]!).filter(isMessage);
  const completes = completed.flatMap(({ kind, id }) => (kind === 'collective' ? [id] : []));
  const transfers = successors.filter((next): next is TransferTask => next.kind === 'transfer');
  return {
    task,
    direction: task.kind,
    durationUs: task.durationUs,
    part,
    messages,
    // Statistics of parts of one device are put together outside of kernels too.
    receives: messages.length > 0 || second,
    copying: inputs.map(({ copying }) => copying),
    copies: inputs.flatMap(({ copies }) => copies),
    transfers,
    gather: successors.find((next): next is GatherTask => next.kind === 'gather'),
    completes,
    gradients: completed.map(({ shard }) => shard),
    sends: task.stage === 'statistics' || transfers.length > 0 || completes.length > 0,
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

/** Memory that others may copy from. */
function writtenBy({ task: { kind, op, part: index }, part }: HostStep): MemoryName[] {
  return kind === 'forward'
    ? part.outputs.map((_, k): MemoryName => `output ${op} ${index} ${k}`)
    : part.inputs.map((_, k): MemoryName => `gradient ${op} ${index} ${k}`);
}

/** By task, what waits for it last on this device: sums of its gradients, and updates by gradients that no other device has. */
function completedBy(
  { tasks }: TaskGraph,
  order: readonly ComputeTask[],
): Map<number, (CollectiveTask | UpdateTask)[]> {
  const lastFor = new Map<CollectiveTask | UpdateTask, number>();
  for (const { id, successors } of order) {
    for (const next of successors) {
      const task = tasks[next]!;
      if (task.kind === 'collective' || task.kind === 'update') lastFor.set(task, id);
    }
  }
  const completed = new Map<number, (CollectiveTask | UpdateTask)[]>();
  for (const [waits, task] of lastFor) completed.set(task, [...(completed.get(task) ?? []), waits]);
  return completed;
}

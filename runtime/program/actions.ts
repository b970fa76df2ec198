import type { TrainingGraph } from '../../soap/training/loss.ts';
import { spansOf } from '../../soap/tasks/liveness/spans.ts';
import type { ComputeTask, TaskGraph, UpdateTask } from '../../soap/tasks/task-graph.ts';
import type { BoundKernel, TensorBuffer } from '../kernels/kernels.ts';
import type { ComputeWork } from './compute-step.ts';
import { computeStep, readAfter } from './compute-step.ts';
import type { DeviceParts } from './device-parts.ts';
import type { Drafts } from './drafts.ts';
import { placed, placedMemory } from './drafts.ts';
import type { KernelCache } from './kernel-cache.ts';
import { segmentUse } from './segment-use.ts';
import type { Step } from './segments/cut.ts';
import { cutSegments } from './segments/cut.ts';
import type { MergedSegment } from './segments/merged-segment.ts';
import { mergeSegments } from './segments/merged-segment.ts';
import { writtenBy } from './segments/stage.ts';
import type { ShardPrograms } from './shards/shard-programs.ts';

/** A segment, with what it writes that is read on the host. */
export interface SegmentAction {
  readonly kind: 'segment';
  readonly segment: MergedSegment<ComputeWork>;
  /** Undefined where nothing reads what it would compute, such as a part of a sequence of which only the end counts. */
  readonly kernel: BoundKernel | undefined;
  readonly readOnHost: readonly TensorBuffer[];
  readonly tasks: readonly number[];
}

/** The optimizer's step on shards. */
export interface UpdateAction {
  readonly kind: 'update';
  readonly shards: readonly number[];
  readonly kernel: BoundKernel;
  readonly tasks: readonly number[];
}

/** What a device does next. */
export type Action = SegmentAction | UpdateAction;

/** What the actions of a device are made of. */
export interface ActionSources {
  readonly training: TrainingGraph;
  readonly tasks: TaskGraph;
  /** Task ids of the device's compute and update tasks, in the simulator's order. */
  readonly order: readonly number[];
  readonly parts: DeviceParts;
  readonly shards: ShardPrograms;
  /** Gets its buffers here, since segments say for how long each is needed. */
  readonly drafts: Drafts;
  readonly kernels: KernelCache;
}

/** The compute tasks of an order of task ids. */
function computeTasks({ tasks }: TaskGraph, order: readonly number[]): ComputeTask[] {
  return order.flatMap((id) => {
    const task = tasks[id]!;
    return task.kind === 'forward' || task.kind === 'backward' ? [task] : [];
  });
}

/** Segments with the updates between them; an update that the order has within a segment comes after it. */
export function planActions(sources: ActionSources): Action[] {
  const { training, tasks, order, parts, shards, drafts, kernels } = sources;
  const steps = computeTasks(tasks, order).map((task) => computeStep(workOf(task, parts, shards)));
  const onHost = readOnHost(steps, sources);
  const segments = mergeSegments(cutSegments(steps), new Set([...onHost, ...shards.gradients()]));
  const lastRead = new Set(parts.readAfterPass(training));
  drafts.place(spansOf(segments.map((segment) => segmentUse(segment, lastRead))));
  const startedBy = new Map(segments.map((segment) => [segment.steps[0]!.task.task.id, segment]));
  const actions: Action[] = [];
  /** Updates since the last segment. */
  let updates: UpdateTask[] = [];
  const update = (): void => {
    actions.push(...updateActions(updates, shards));
    updates = [];
  };
  for (const id of order) {
    const segment = startedBy.get(id);
    const task = tasks.tasks[id]!;
    if (segment !== undefined) {
      update();
      actions.push(segmentAction(segment, onHost, kernels));
    } else if (task.kind === 'update') updates.push(task);
  }
  update();
  return actions;
}

function updateActions(updates: readonly UpdateTask[], shards: ShardPrograms): UpdateAction[] {
  const taskOf = new Map(updates.map(({ shard, id }) => [shard, id]));
  return shards.grouped([...taskOf.keys()]).map((group) => ({
    kind: 'update',
    shards: group,
    kernel: shards.bindUpdate(group),
    tasks: group.map((shard) => taskOf.get(shard)!),
  }));
}

function segmentAction(
  segment: MergedSegment<ComputeWork>,
  onHost: ReadonlySet<TensorBuffer>,
  kernels: KernelCache,
): SegmentAction {
  const { steps, stage } = segment;
  const written = steps.flatMap(({ stages }) => stages.flatMap(writtenBy));
  const sums = steps.flatMap(({ task: { contribution } }) => contribution.sums);
  return {
    kind: 'segment',
    segment,
    kernel: stage.graph.outputs.length === 0 ? undefined : kernels.get(stage.graph).bind(placedMemory(stage.memory)),
    readOnHost: [...written.filter((memory) => onHost.has(memory)), ...sums].map(placed),
    tasks: steps.map((step) => step.task.task.id),
  };
}

function workOf(task: ComputeTask, parts: DeviceParts, shards: ShardPrograms): ComputeWork {
  const part = parts.partOf(task);
  const { pass } = parts.programOf(task);
  const none = { outgoing: [], contribution: { stages: [], sums: [] } };
  if (task.stage === 'statistics') return { task, pass, ...none };
  if (task.kind === 'forward') return { task, pass, ...none, outgoing: parts.activationTransfers(part) };
  return { task, pass, outgoing: parts.gradientTransfers(part), contribution: shards.contributionOf(part) };
}

/** What segments write that is read on the host: sent, copied, or looked at after the pass. */
function readOnHost(
  steps: readonly Step<ComputeWork>[],
  { training, parts }: ActionSources,
): ReadonlySet<TensorBuffer> {
  return new Set([...steps.flatMap(({ task }) => readAfter(task)), ...parts.readAfterPass(training)]);
}

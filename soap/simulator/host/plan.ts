import type { Region } from '../../region/region.ts';
import { regionVolume } from '../../region/region.ts';
import type { Layout } from '../../tasks/layout.ts';
import type { GradientHandling } from '../../tasks/gradient-work.ts';
import type { CollectiveTask, TaskGraph } from '../../tasks/task-graph.ts';
import { maskBytes } from '../../tasks/masks.ts';
import { readTermBytes, updateRuns } from '../../tasks/read-sums.ts';
import { regionBytes } from '../../tasks/work.ts';
import type { Copying } from './copies.ts';
import { NO_COPYING, packing, refreshCopying } from './copies.ts';
import type { HostStep } from './segments.ts';
import { hostSegments } from './segments.ts';

/** A message that is sent once a task is done. */
export interface Outgoing {
  readonly to: number;
  readonly bytes: number;
  readonly packing: Copying;
  /** The task that it belongs to: whoever receives it waits for that. */
  readonly task: number;
}

/** What a device does next. */
export type Action =
  | {
      readonly kind: 'segment';
      readonly isBackward: boolean;
      readonly tasks: readonly number[];
      readonly copying: readonly Copying[];
      /** Transfers and gathers whose messages must have come. */
      readonly receives: readonly number[];
      readonly sends: readonly Outgoing[];
      /** Collectives whose gradient it completes on this device. */
      readonly completes: readonly number[];
      /** Shards whose gradient it completes on this device. */
      readonly gradients: readonly number[];
    }
  | {
      readonly kind: 'update';
      readonly task: number;
      /** Kernels that it is. */
      readonly runs: number;
      /** Undefined where the device alone has the shard. */
      readonly collective: number | undefined;
      /** Bytes of other devices' gradients that it reads where they lie. */
      readonly readBytes: number;
      readonly copying: Copying;
    };

/** An iteration as the threads of a host run it, as far as it does not depend on what things cost. */
export interface HostPlan {
  /** By device. */
  readonly actions: readonly (readonly Action[])[];
  /** By device: bytes of the batch. */
  readonly batchBytes: readonly number[];
  /** By device: bytes of masks. */
  readonly maskBytes: readonly number[];
  /** By device: samples that it reads, once for each of their tensors. */
  readonly batchRows: readonly number[];
  readonly collectives: readonly CollectiveTask[];
  /** By device: those that read its gradients, and whose it reads, where they lie. */
  readonly readers: readonly (readonly number[])[];
  readonly handling: GradientHandling;
  /** By device: the shards that it has and trains. */
  readonly shards: readonly (readonly HostShard[])[];
}

/** A shard of parameters on a device. */
export interface HostShard {
  readonly id: number;
  /** Undefined where the device alone has it. */
  readonly collective: CollectiveTask | undefined;
  /** Whether the device sums the squares of its gradient, where gradients are clipped: the first that has it. */
  readonly countsSquares: boolean;
}

/** @param orders by device, its compute and update tasks in the order of the runtime */
export function hostPlan(
  layout: Layout,
  graph: TaskGraph,
  orders: readonly (readonly number[])[],
  handling: GradientHandling,
): HostPlan {
  const collectives = graph.tasks.filter((task) => task.kind === 'collective');
  const ofShard = new Map(collectives.map((collective) => [collective.shard, collective]));
  return {
    actions: orders.map((order, device) => deviceActions(layout, graph, order, device, ofShard)),
    batchBytes: orders.map((_, device) => batchBoxes(layout, device).reduce((sum, box) => sum + regionBytes(box), 0)),
    maskBytes: orders.map((_, device) => maskBytesOf(layout, device)),
    batchRows: orders.map((_, device) =>
      batchBoxes(layout, device).reduce((sum, [rows]) => sum + rows![1] - rows![0], 0),
    ),
    collectives,
    readers: orders.map((_, device) => readersOf(collectives, device)),
    handling,
    shards: orders.map((_, device) =>
      layout.shards.flatMap(({ id, devices, isTrained }): HostShard[] =>
        isTrained && devices.includes(device)
          ? [{ id, collective: ofShard.get(id), countsSquares: devices[0] === device }]
          : [],
      ),
    ),
  };
}

function readersOf(collectives: readonly CollectiveTask[], device: number): number[] {
  const read = collectives.filter(({ isRead, devices }) => isRead && devices.includes(device));
  return [...new Set(read.flatMap(({ devices }) => devices))].filter((other) => other !== device);
}

/** Updates that wait for other devices come after all segments, as a rule: see `DeviceProgram.train`. */
function deviceActions(
  layout: Layout,
  graph: TaskGraph,
  order: readonly number[],
  device: number,
  collectiveOf: ReadonlyMap<number, CollectiveTask>,
): Action[] {
  const segments = new Map(hostSegments(layout, graph, order).map(({ steps }) => [steps[0]!.task.id, steps]));
  const [early, late]: [Action[], Action[]] = [[], []];
  for (const id of order) {
    const steps = segments.get(id);
    const task = graph.tasks[id]!;
    if (steps !== undefined) early.push(segmentAction(layout, steps));
    else if (task.kind === 'update') {
      const collective = collectiveOf.get(task.shard);
      const shard = layout.shards[task.shard]!;
      const copying = refreshCopying(layout, shard, device);
      const runs = updateRuns(regionVolume(shard.region), collective);
      const readBytes = collective === undefined ? 0 : readTermBytes(collective);
      (collective === undefined ? early : late).push({
        kind: 'update',
        task: id,
        runs,
        collective: collective?.id,
        readBytes,
        copying,
      });
    }
  }
  return [...early, ...late];
}

function segmentAction(layout: Layout, steps: readonly HostStep[]): Action {
  return {
    kind: 'segment',
    isBackward: steps[0]!.direction === 'backward',
    tasks: steps.map(({ task }) => task.id),
    copying: steps.flatMap(({ copying }) => copying),
    receives: steps.flatMap(({ messages }) => messages.map(({ id }) => id)),
    sends: steps.flatMap((step) => outgoing(layout, step)),
    completes: steps.flatMap(({ completes }) => completes),
    gradients: steps.flatMap(({ gradients }) => gradients),
  };
}

function outgoing(layout: Layout, { part, transfers, gather }: HostStep): Outgoing[] {
  const others = gather?.devices.filter((device) => device !== part.device) ?? [];
  return [
    ...transfers.map(({ id, tensor, region, bytes, toDevice, payload, consumerInput }): Outgoing => {
      const frame =
        payload === 'gradient' ? part.inputs[consumerInput]! : part.outputs[layout.producers[tensor]!.output]!;
      return { to: toDevice, bytes, packing: packing(frame, region), task: id };
    }),
    ...others.map((to): Outgoing => ({ to, bytes: gather!.bytes, packing: NO_COPYING, task: gather!.id })),
  ];
}

/** What a device makes of masks in each pass. */
function maskBytesOf({ graph, parts }: Layout, device: number): number {
  const mine = parts.flat().filter((part) => part.device === device);
  return mine.reduce((sum, part) => sum + maskBytes(graph.ops[part.op]!, part), 0);
}

/** What a device reads of a batch: the twin of the data inputs of `runtime/program/part-program.ts`. */
function batchBoxes({ graph, parts }: Layout, device: number): Region[] {
  return graph.ops.flatMap(({ id, inputs }) =>
    inputs.flatMap((tensor, input) => {
      if (graph.tensors[tensor]!.role !== 'input') return [];
      return parts[id]!.flatMap((part) =>
        part.device === device && part.inputs[input] !== undefined ? [part.inputs[input]] : [],
      );
    }),
  );
}

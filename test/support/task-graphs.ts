import * as fc from 'fast-check';
import type { Interval } from '../../soap/region/region.ts';
import type { ComputeTask, Hop, Task, TaskGraph, TransferTask } from '../../soap/tasks/task-graph.ts';

/** What matters of a task to the simulator; predecessors are indices in the list of tasks. */
export interface TaskSketch {
  readonly key: number;
  readonly durationUs: number;
  readonly resources: readonly number[];
  readonly predecessors: readonly number[];
  /** Of a transfer, which holds its resources one after the other. */
  readonly hops?: readonly Hop[];
}

/** A task graph of transfers, and of forward tasks that are each an op of their own on the device of the first resource. */
export function taskGraph(sketches: readonly TaskSketch[], deviceCount: number, linkCount: number = 0): TaskGraph {
  const tasks = sketches.map((sketch, id): Task => {
    const successors = sketches.flatMap(({ predecessors }, other) => (predecessors.includes(id) ? [other] : []));
    const { hops } = sketch;
    if (hops === undefined) {
      const device = sketch.resources[0] ?? 0;
      return { ...sketch, id, successors, kind: 'forward', stage: 'main', op: id, part: 0, device };
    }
    return {
      ...sketch,
      id,
      successors,
      kind: 'transfer',
      hops,
      resources: hops.map(({ resource }) => resource),
      payload: 'activation',
      tensor: 0,
      region: [],
      bytes: 1,
      fromDevice: 0,
      toDevice: 0,
      producer: 0,
      producerPart: 0,
      consumer: id,
      consumerPart: 0,
      consumerInput: 0,
    };
  });
  return { tasks, shards: [], deviceCount, linkCount };
}

/** The same graph with its tasks listed in another order; `order[new id]` is the old id. */
export function reordered(graph: TaskGraph, order: readonly number[]): TaskGraph {
  const newIds = new Map(order.map((old, id) => [old, id]));
  const renamed = (ids: readonly number[]): number[] => ids.map((id) => newIds.get(id)!);
  const tasks = order.map((old, id): Task => {
    const task = graph.tasks[old]!;
    return { ...task, id, predecessors: renamed(task.predecessors), successors: renamed(task.successors) };
  });
  return { ...graph, tasks };
}

/** Devices and links of random task graphs. */
export const RANDOM_DEVICES = 3;
export const RANDOM_LINKS = 3;

const randomHop: fc.Arbitrary<Hop> = fc.record({
  resource: fc.integer({ min: RANDOM_DEVICES, max: RANDOM_DEVICES + RANDOM_LINKS - 1 }),
  holdUs: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.double({ min: 0, max: 10, noNaN: true })),
  latencyUs: fc.integer({ min: 0, max: 2 }),
});

/**
 * Random task graphs: unique keys in any order, tasks with none to three resources, many ties (short integer durations, 0
 * among them) beside durations with rounding.
 */
export const randomTaskGraphs: fc.Arbitrary<TaskGraph> = fc.integer({ min: 0, max: 40 }).chain((size) => {
  const sketch = (id: number): fc.Arbitrary<Omit<TaskSketch, 'key'>> =>
    fc.record({
      durationUs: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.double({ min: 0, max: 10, noNaN: true })),
      resources: fc.uniqueArray(fc.nat({ max: RANDOM_DEVICES + RANDOM_LINKS - 1 }), { maxLength: 3 }),
      predecessors: id === 0 ? fc.constant([]) : fc.uniqueArray(fc.nat({ max: id - 1 }), { maxLength: 3 }),
      ...(id % 3 === 1 ? { hops: fc.array(randomHop, { minLength: 1, maxLength: 3 }) } : {}),
    });
  const ids = Array.from({ length: size }, (_, id) => id);
  return fc.tuple(fc.tuple(...ids.map(sketch)), shuffles(size), shuffles(size)).map(([sketches, keys, order]) =>
    reordered(
      taskGraph(
        sketches.map((each, id) => ({ ...each, key: keys[id]! })),
        RANDOM_DEVICES,
        RANDOM_LINKS,
      ),
      order,
    ),
  );
});

/** Orders of 0 ... size - 1. */
export function shuffles(size: number): fc.Arbitrary<number[]> {
  const ids = Array.from({ length: size }, (_, id) => id);
  return fc.shuffledSubarray(ids, { minLength: size, maxLength: size });
}

/** An op of the paper's kind of example: split by sample into parts on one device, whole work `workUs`. */
export interface SampleOp {
  readonly inputs: readonly number[];
  readonly parts: number;
  readonly device: number;
  readonly workUs: number;
}

/**
 * The forward task graph of ops split by sample, as section 5.1 of the paper builds it: a part's time is its share of the
 * op's work; data that parts on two devices share goes over the link of these devices, a whole batch in `batchTransferUs`.
 */
export function sampleSplitGraph(ops: readonly SampleOp[], deviceCount: number, batchTransferUs: number): TaskGraph {
  const tasks: Draft[] = [];
  const add = (task: Draft): number => tasks.push(task) - 1;
  const connect = (from: number, to: number): void => {
    tasks[from]!.successors.push(to);
    tasks[to]!.predecessors.push(from);
  };
  const edges = (): Pick<ComputeTask, 'id' | 'key'> & { predecessors: number[]; successors: number[] } => ({
    id: tasks.length,
    key: tasks.length,
    predecessors: [],
    successors: [],
  });
  const samples = (parts: number, part: number): Interval => [part / parts, (part + 1) / parts];
  const links = new Map<string, number>();
  const linkOf = (from: number, to: number): number => {
    const name = `${from}>${to}`;
    if (!links.has(name)) links.set(name, deviceCount + links.size);
    return links.get(name)!;
  };
  const partTasks = ops.map(({ parts, device, workUs }, op) =>
    Array.from({ length: parts }, (_, part) =>
      add({
        ...edges(),
        kind: 'forward',
        stage: 'main',
        durationUs: workUs / parts,
        resources: [device],
        op,
        part,
        device,
      } satisfies Draft<ComputeTask>),
    ),
  );
  ops.forEach((consumer, op) => {
    for (const input of consumer.inputs) {
      const producer = ops[input]!;
      partTasks[op]!.forEach((to, consumerPart) => {
        partTasks[input]!.forEach((from, producerPart) => {
          const [a, b] = [samples(producer.parts, producerPart), samples(consumer.parts, consumerPart)];
          const shared: Interval = [Math.max(a[0], b[0]), Math.min(a[1], b[1])];
          if (shared[0] >= shared[1]) return;
          if (producer.device === consumer.device) {
            connect(from, to);
            return;
          }
          const transfer = add({
            ...edges(),
            kind: 'transfer',
            durationUs: (shared[1] - shared[0]) * batchTransferUs,
            resources: [linkOf(producer.device, consumer.device)],
            hops: [
              {
                resource: linkOf(producer.device, consumer.device),
                holdUs: (shared[1] - shared[0]) * batchTransferUs,
                latencyUs: 0,
              },
            ],
            payload: 'activation',
            tensor: input,
            region: [shared],
            bytes: 1,
            fromDevice: producer.device,
            toDevice: consumer.device,
            producer: input,
            producerPart,
            consumer: op,
            consumerPart,
            consumerInput: consumer.inputs.indexOf(input),
          } satisfies Draft<TransferTask>);
          connect(from, transfer);
          connect(transfer, to);
        });
      });
    }
  });
  return { tasks, shards: [], deviceCount, linkCount: links.size };
}

type Draft<T extends Task = Task> = T & { predecessors: number[]; successors: number[] };

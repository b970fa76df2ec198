import type { HostCosts } from '../../cost/cost-table.ts';
import type { Layout } from '../../tasks/layout.ts';
import type { CollectiveTask, TaskGraph } from '../../tasks/task-graph.ts';
import { regionBytes } from '../../tasks/work.ts';
import type { Copying } from './copies.ts';
import { gradientCopying, packing, refreshCopying } from './copies.ts';
import type { HostItem } from './run-items.ts';
import type { HostSegment, HostStep } from './segments.ts';
import { hostSegments } from './segments.ts';

const MIB = 2 ** 20;

/** Bytes of one message of a sum, and pieces in work at once. Source: `runtime/collectives/all-reduce.ts`. */
const [PIECE_BYTES, PIPELINE_WIDTH] = [MIB, 8];

/** An iteration as the host's threads see it; device d has the JavaScript thread 2 d and the kernel thread 2 d + 1. */
export interface HostWork {
  readonly layout: Layout;
  readonly graph: TaskGraph;
  /** By device: its compute and update tasks, in the order of the runtime. */
  readonly orders: readonly (readonly number[])[];
  /** By task: what it adds to a kernel, microseconds. */
  readonly taskUs: Float64Array;
}

/** What a device does next; everything that is the same in all iterations is worked out once. */
type Action =
  | { readonly kind: 'segment'; readonly segment: HostSegment; readonly kernelUs: number; readonly copyUs: number }
  | { readonly kind: 'update'; readonly task: number; readonly shard: number; readonly copyUs: number };

/** The last item of every device by iteration. */
export interface HostIterations {
  readonly items: readonly HostItem[];
  /** By iteration, then device. */
  readonly ends: readonly (readonly number[])[];
}

/** Lays out so many iterations, one after the other, as items of the host's threads. */
export function hostIterations(work: HostWork, costs: HostCosts, iterations: number): HostIterations {
  const builder = new Builder(work, costs);
  const ends: number[][] = [];
  for (let i = 0; i < iterations; i++) ends.push(builder.iteration(ends));
  return { items: builder.items, ends };
}

class Builder {
  readonly items: HostItem[] = [];
  readonly #work: HostWork;
  readonly #costs: HostCosts;
  readonly #actions: readonly (readonly Action[])[];
  /** By shard: its collective. */
  readonly #collectives = new Map<number, CollectiveTask>();
  readonly #loadUs: readonly number[];
  /** Of this iteration: items that a task's message has come by, by task and device. */
  #arrived = new Map<string, number>();
  /** Of this iteration: what segments wait for that is not made yet, by the same key. */
  #awaiting = new Map<string, number[]>();
  /** Of this iteration: by collective, then device, the item that completes its gradient. */
  #gradients = new Map<number, Map<number, number>>();

  constructor(work: HostWork, costs: HostCosts) {
    this.#work = work;
    this.#costs = costs;
    for (const task of work.graph.tasks) if (task.kind === 'collective') this.#collectives.set(task.shard, task);
    this.#actions = work.orders.map((order, device) => this.#planActions(order, device));
    this.#loadUs = work.orders.map((_, device) => this.#loading(device));
  }

  /** Adds an iteration; returns the last item of each device. */
  iteration(before: readonly (readonly number[])[]): number[] {
    [this.#arrived, this.#awaiting, this.#gradients] = [new Map(), new Map(), new Map()];
    const chains = this.#actions.map((actions, device) => this.#mainLine(device, actions, before));
    for (const collective of this.#collectives.values()) this.#reduce(collective);
    return chains.map((finish) => finish());
  }

  #planActions(order: readonly number[], device: number): Action[] {
    const { layout, graph, taskUs } = this.#work;
    const segments = hostSegments(layout, graph, order);
    const byFirst = new Map(segments.map((segment) => [segment.steps[0]!.task.id, segment]));
    const early: Action[] = [];
    const late: Action[] = [];
    for (const id of order) {
      const segment = byFirst.get(id);
      const task = graph.tasks[id]!;
      if (segment !== undefined) {
        const kernelUs = segment.steps.reduce((sum, step) => sum + taskUs[step.task.id]!, this.#costs.kernelUs);
        const copyUs = segment.steps.reduce((sum, { copying }) => sum + this.#copyUs(copying), 0);
        early.push({ kind: 'segment', segment, kernelUs, copyUs });
      } else if (task.kind === 'update') {
        const shard = layout.shards[task.shard]!;
        const copyUs = this.#copyUs([refreshCopying(layout, shard, device)]);
        const update: Action = { kind: 'update', task: id, shard: task.shard, copyUs };
        // One that waits for other devices comes after all segments, as a rule: see `DeviceProgram.train`.
        (this.#collectives.has(task.shard) ? late : early).push(update);
      }
    }
    return [...early, ...late];
  }

  /** Fetching the batch: its bytes are copied. */
  #loading(device: number): number {
    const { layout } = this.#work;
    let copiedBytes = 0;
    for (const { id, inputs } of layout.graph.ops) {
      inputs.forEach((tensor, input) => {
        if (layout.graph.tensors[tensor]!.role !== 'input') return;
        for (const part of layout.parts[id]!) {
          const box = part.inputs[input];
          if (part.device === device && box !== undefined) copiedBytes += 2 * regionBytes(box);
        }
      });
    }
    return this.#costs.stepUs + this.#copyUs([{ copiedBytes, summedBytes: 0, runs: 0 }]);
  }

  /**
   * The sequence of a device. What comes after its sums is added by the function that is returned, once these are there.
   */
  #mainLine(device: number, actions: readonly Action[], before: readonly (readonly number[])[]): () => number {
    const last = before.at(-1);
    const waits = last === undefined ? [] : [last[device]!];
    // No device is further ahead than the first one's word allows; see `runtime/program/conductor.ts`.
    const word = before.at(-2);
    if (word !== undefined) waits.push(...(device === 0 ? word : [word[0]!]));
    let at = this.#add(js(device), this.#loadUs[device]!, waits);
    const isLate = (action: Action): boolean => action.kind === 'update' && this.#collectives.has(action.shard);
    for (const action of actions) {
      if (action.kind === 'segment') at = this.#segment(device, action, at);
      else if (!isLate(action)) at = this.#update(device, action, at);
    }
    return () => {
      for (const action of actions)
        if (action.kind === 'update' && isLate(action)) at = this.#update(device, action, at);
      return at;
    };
  }

  #segment(device: number, action: Extract<Action, { readonly kind: 'segment' }>, after: number): number {
    const { steps } = action.segment;
    const fill = this.#add(js(device), action.copyUs, [after]);
    for (const { receives } of steps) for (const { id } of receives) this.#await(`${id} ${device}`, fill);
    let at = this.#add(kernel(device), action.kernelUs, [fill]);
    for (const step of steps) at = this.#finish(device, step, at);
    return at;
  }

  /** Sends what a task has computed. */
  #finish(device: number, { part, transfers, gather, completes }: HostStep, after: number): number {
    const { layout } = this.#work;
    let at = after;
    for (const { id, tensor, region, bytes, toDevice, payload, consumerInput } of transfers) {
      const frame =
        payload === 'gradient' ? part.inputs[consumerInput]! : part.outputs[layout.producers[tensor]!.output]!;
      at = this.#message(device, toDevice, bytes, this.#copyUs([packing(frame, region)]), at, `${id} ${toDevice}`);
    }
    if (gather !== undefined) {
      for (const other of gather.devices) {
        if (other !== device) at = this.#message(device, other, gather.bytes, 0, at, `${gather.id} ${other}`);
      }
    }
    for (const collective of completes) {
      const byDevice = this.#gradients.get(collective) ?? new Map<number, number>();
      byDevice.set(device, at);
      this.#gradients.set(collective, byDevice);
    }
    return at;
  }

  #update(device: number, action: Extract<Action, { readonly kind: 'update' }>, after: number): number {
    const { taskUs } = this.#work;
    const kernelUs = this.#costs.kernelUs + taskUs[action.task]!;
    const summed = this.#arrived.get(`${this.#collectives.get(action.shard)?.id} ${device}`);
    const run = this.#add(kernel(device), kernelUs, summed === undefined ? [after] : [after, summed]);
    return this.#add(js(device), action.copyUs, [run]);
  }

  /** A message, as two items; whoever waits for its key waits for the second. Returns the first. */
  #message(from: number, to: number, bytes: number, packUs: number, after: number, key: string): number {
    const came: number[] = [];
    const packed = packUs > 0 ? this.#add(js(from), packUs, [after]) : after;
    const sent = this.#send(from, to, bytes, 0, packed, came);
    for (const item of came) this.#arrive(key, item);
    return sent;
  }

  /** All messages of a sum, piece by piece. */
  #reduce(collective: CollectiveTask): void {
    const { algorithm, devices, bytes } = collective;
    const gradients = this.#gradients.get(collective.id)!;
    const starts = new Map(devices.map((device) => [device, this.#completeGradient(collective, device, gradients)]));
    const runs = algorithm === 'ring' ? devices.length : 1;
    const pieces = Math.max(1, Math.ceil(bytes / runs / PIECE_BYTES));
    const ends = new Map<number, number[]>(devices.map((device) => [device, []]));
    for (let piece = 0; piece < pieces; piece++) {
      const from = new Map(
        devices.map((device) => [device, ends.get(device)!.at(-PIPELINE_WIDTH) ?? starts.get(device)!]),
      );
      const after = this.#reducePiece(collective, bytes / pieces, from);
      for (const device of devices) ends.get(device)!.push(after.get(device)!);
    }
    for (const device of devices) {
      const key = `${collective.id} ${device}`;
      for (const end of ends.get(device)!) this.#arrive(key, end);
    }
  }

  #completeGradient({ shard }: CollectiveTask, device: number, gradients: ReadonlyMap<number, number>): number {
    const { layout } = this.#work;
    const copying = gradientCopying(layout, layout.shards[shard]!, device);
    return this.#add(js(device), this.#copyUs([copying]), [gradients.get(device)!]);
  }

  #reducePiece(
    { algorithm, devices }: CollectiveTask,
    bytes: number,
    from: ReadonlyMap<number, number>,
  ): Map<number, number> {
    const sumUs = (size: number): number => this.#copyUs([{ copiedBytes: 0, summedBytes: size, runs: 1 }]);
    const takeUs = (size: number): number => this.#copyUs([{ copiedBytes: size, summedBytes: 0, runs: 1 }]);
    const at = new Map(from);
    if (algorithm === 'exchange') {
      const came = new Map(devices.map((device) => [device, [] as number[]]));
      for (const device of devices) {
        let sent = this.#add(js(device), takeUs(bytes), [from.get(device)!]);
        for (const other of devices) {
          if (other === device) continue;
          sent = this.#send(device, other, bytes, sumUs(bytes), sent, came.get(other)!);
        }
        at.set(device, sent);
      }
      for (const device of devices) at.set(device, this.#add(js(device), 0, [at.get(device)!, ...came.get(device)!]));
      return at;
    }
    if (algorithm === 'ring') {
      const share = bytes / devices.length;
      for (let round = 0; round < 2 * (devices.length - 1); round++) {
        const came = new Map(devices.map((device) => [device, [] as number[]]));
        const sent = new Map<number, number>();
        devices.forEach((device, rank) => {
          const next = devices[(rank + 1) % devices.length]!;
          const useUs = round < devices.length - 1 ? sumUs(share) : takeUs(share);
          sent.set(device, this.#send(device, next, share, useUs, at.get(device)!, came.get(next)!));
        });
        for (const device of devices) {
          at.set(device, this.#add(js(device), 0, [sent.get(device)!, ...came.get(device)!]));
        }
      }
      return at;
    }
    const [first, ...others] = devices;
    const came: number[] = [];
    for (const device of others) at.set(device, this.#send(device, first!, bytes, sumUs(bytes), at.get(device)!, came));
    let owner = this.#add(js(first!), 0, [at.get(first!)!, ...came]);
    for (const device of others) {
      const back: number[] = [];
      owner = this.#send(first!, device, bytes, takeUs(bytes), owner, back);
      at.set(device, this.#add(js(device), 0, [at.get(device)!, ...back]));
    }
    at.set(first!, owner);
    return at;
  }

  #send(from: number, to: number, bytes: number, useUs: number, after: number, came: number[]): number {
    const { messageUs, messageUsPerMiB, wakeUs } = this.#costs;
    const us = messageUs + (messageUsPerMiB * bytes) / MIB;
    const sent = this.#add(js(from), us, [after]);
    came.push(this.#add(js(to), us + useUs, [sent], wakeUs));
    return sent;
  }

  #await(key: string, item: number): void {
    this.#awaiting.set(key, [...(this.#awaiting.get(key) ?? []), item]);
    const arrived = this.#arrived.get(key);
    if (arrived !== undefined) this.#edge(arrived, item);
  }

  #arrive(key: string, item: number): void {
    const known = this.#arrived.get(key);
    // Several messages have one key: what waits for it waits for all.
    this.#arrived.set(key, known === undefined ? item : this.#add(this.items[item]!.thread, 0, [known, item]));
    for (const waiting of this.#awaiting.get(key) ?? []) this.#edge(item, waiting);
  }

  #copyUs(copying: readonly Copying[]): number {
    const { copyUsPerMiB, sumUsPerMiB, copyUsPerRun } = this.#costs;
    let us = 0;
    for (const { copiedBytes, summedBytes, runs } of copying) {
      us += (copiedBytes * copyUsPerMiB + summedBytes * sumUsPerMiB) / MIB + runs * copyUsPerRun;
    }
    return us;
  }

  #add(thread: number, us: number, after: readonly number[], delayUs = 0): number {
    const item = this.items.push({ thread, us, delayUs, successors: [], waitsFor: 0 }) - 1;
    for (const each of after) this.#edge(each, item);
    return item;
  }

  #edge(from: number, to: number): void {
    this.items[from]!.successors.push(to);
    this.items[to]!.waitsFor += 1;
  }
}

/** Threads of a device. */
function js(device: number): number {
  return 2 * device;
}

function kernel(device: number): number {
  return 2 * device + 1;
}

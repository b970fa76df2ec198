import type { HostCosts } from '../../cost/cost-table.ts';
import type { CollectiveTask } from '../../tasks/task-graph.ts';
import type { Copying } from './copies.ts';
import { NO_COPYING } from './copies.ts';
import type { Action, HostPlan, Outgoing } from './plan.ts';
import type { HostItem } from './run-items.ts';
import { reducePiece } from './sums.ts';

const MIB = 2 ** 20;

/** Threads of a device as far as they are simulated. */
export const THREADS_PER_DEVICE = 3;

/** Bytes of a device's result, and of the first one's word. Source: `runtime/program/conductor.ts`. */
const [RESULT_BYTES, WORD_BYTES] = [32, 1];

/** Bytes of one message of a sum, and pieces in work at once. Source: `runtime/collectives/all-reduce.ts`. */
const [PIECE_BYTES, PIPELINE_WIDTH] = [MIB, 8];

/** Items of some iterations, one after the other, and the last one of every device by iteration. */
export interface HostIterations {
  readonly items: readonly HostItem[];
  readonly ends: readonly (readonly number[])[];
}

/**
 * Lays iterations out as items of the host's threads: device d has the JavaScript thread 3 d, the kernel thread
 * 3 d + 1, and one that reads the next batch, 3 d + 2.
 * @param taskUs by task, what it adds to a kernel; microseconds
 */
export function hostIterations(
  plan: HostPlan,
  taskUs: Float64Array,
  costs: HostCosts,
  iterations: number,
): HostIterations {
  const builder = new IterationBuilder(plan, taskUs, costs);
  const ends: number[][] = [];
  for (let i = 0; i < iterations; i++) ends.push(builder.iteration(ends));
  return { items: builder.items, ends };
}

/** Adds items; what the algorithms of sums need. */
export class IterationBuilder {
  readonly items: HostItem[] = [];
  readonly #plan: HostPlan;
  readonly #taskUs: Float64Array;
  readonly #costs: HostCosts;
  /** Of this iteration: items by which messages of a task have come to a device, and items that wait for them. */
  #arrived = new Map<string, number[]>();
  #awaiting = new Map<string, number[]>();
  /** Of this iteration: by collective, then device, the item that completes its gradient. */
  #gradients = new Map<number, Map<number, number>>();
  /** By device: the item by which the next batch is read. */
  readonly #read = new Map<number, number>();
  /** Of the last iteration, by device: items after which its gradients may be written again. */
  #writable: readonly (readonly number[])[] = [];
  /** By iteration, then device: the item by which the first one's word has come that all have done it. */
  readonly #words: number[][] = [];

  constructor(plan: HostPlan, taskUs: Float64Array, costs: HostCosts) {
    [this.#plan, this.#taskUs, this.#costs] = [plan, taskUs, costs];
  }

  /** Adds an iteration; returns the last item of each device. */
  iteration(before: readonly (readonly number[])[]): number[] {
    [this.#arrived, this.#awaiting, this.#gradients] = [new Map(), new Map(), new Map()];
    const { actions, collectives } = this.#plan;
    const last = actions.map((list, device) => this.#work(device, list, this.#begin(device, before), false));
    for (const collective of collectives) this.#reduce(collective);
    const updated = last.map((at, device) => this.#work(device, actions[device]!, at, true));
    const ends = this.#tellRead(updated);
    this.#handIn(ends);
    return ends;
  }

  /** Devices tell those whose gradients they have read that they may be written: `runtime/collectives/shared-gradients.ts`. */
  #tellRead(updated: readonly number[]): number[] {
    const came: number[][] = updated.map(() => []);
    const ends = updated.map((after, device) =>
      this.#plan.readers[device]!.reduce((at, peer) => this.message(device, peer, 0, 0, at, came[peer]!), after),
    );
    this.#writable = came;
    return ends;
  }

  /** Results go to the first device, and its word comes back: `runtime/program/conductor.ts`. */
  #handIn(ends: readonly number[]): void {
    const came: number[] = [ends[0]!];
    for (let device = 1; device < ends.length; device++) this.message(device, 0, RESULT_BYTES, 0, ends[device]!, came);
    let at = this.javaScript(0, 0, came);
    const words = [at];
    for (let device = 1; device < ends.length; device++) {
      const heard: number[] = [];
      at = this.message(0, device, WORD_BYTES, 0, at, heard);
      words.push(heard[0]!);
    }
    this.#words.push(words);
  }

  /** A message from one device to another; returns when it is sent. @param came gets the item by which it has come */
  message(from: number, to: number, bytes: number, useUs: number, after: number, came: number[]): number {
    const { receiveUs, receiveUsPerMiB, wakeUs } = this.#costs;
    const sent = this.javaScript(from, this.sendUs({ bytes, packing: NO_COPYING }), [after]);
    came.push(this.javaScript(to, receiveUs + (receiveUsPerMiB * bytes) / MIB + useUs, [sent], wakeUs));
    return sent;
  }

  /** Work of a device's JavaScript thread. */
  javaScript(device: number, us: number, after: readonly number[], delayUs: number = 0): number {
    return this.#add(THREADS_PER_DEVICE * device, us, after, delayUs);
  }

  /** What a message takes at the end that sends it. */
  sendUs({ bytes, packing }: Pick<Outgoing, 'bytes' | 'packing'>): number {
    const { messageUs, messageUsPerMiB } = this.#costs;
    return this.copyUs(packing) + messageUs + (messageUsPerMiB * bytes) / MIB;
  }

  copyUs({ copiedBytes, summedBytes, runs }: Copying): number {
    const { copyUsPerMiB, sumUsPerMiB, copyUsPerRun } = this.#costs;
    return (copiedBytes * copyUsPerMiB + summedBytes * sumUsPerMiB) / MIB + runs * copyUsPerRun;
  }

  /** The batch is fetched. No device gets further ahead than the first one's word allows: `runtime/program/conductor.ts`. */
  #begin(device: number, before: readonly (readonly number[])[]): number {
    const [last, words] = [before.at(-1), this.#words.at(-2)];
    const waits = last === undefined ? [] : [last[device]!];
    if (words !== undefined) waits.push(words[device]!);
    const read = this.#read.get(device);
    if (read !== undefined) waits.push(read);
    const copying = { ...NO_COPYING, copiedBytes: 2 * this.#plan.batchBytes[device]! };
    const begun = this.javaScript(device, this.#costs.stepUs + this.copyUs(copying), waits);
    // The next batch is read meanwhile: `runtime/program/batch-loader.ts`.
    const rowsUs = (this.#costs.rowUs ?? 0) * this.#plan.batchRows[device]!;
    if (rowsUs > 0) this.#read.set(device, this.#add(THREADS_PER_DEVICE * device + 2, rowsUs, [begun], 0));
    return begun;
  }

  /** What a device does before its sums are there, or the updates after that. */
  #work(device: number, actions: readonly Action[], after: number, isLate: boolean): number {
    let at = after;
    for (const action of actions) {
      if ((action.kind === 'update' && action.collective !== undefined) !== isLate) continue;
      at = action.kind === 'segment' ? this.#segment(device, action, at) : this.#update(device, action, at);
    }
    return at;
  }

  #segment(device: number, action: Extract<Action, { readonly kind: 'segment' }>, after: number): number {
    const fillUs = action.copying.reduce((sum, copying) => sum + this.copyUs(copying), 0);
    const fill = this.javaScript(device, fillUs, [after]);
    for (const task of action.receives) this.#await(`${task} ${device}`, fill);
    if (action.isBackward) for (const read of this.#writable[device] ?? []) this.#edge(read, fill);
    const us = action.tasks.reduce((sum, task) => sum + this.#taskUs[task]!, this.#costs.kernelUs);
    let at = this.#add(THREADS_PER_DEVICE * device + 1, us, [fill], 0);
    for (const { to, bytes, packing, task } of action.sends) {
      const came: number[] = [];
      const packUs = this.copyUs(packing);
      at = this.message(device, to, bytes, 0, packUs > 0 ? this.javaScript(device, packUs, [at]) : at, came);
      for (const item of came) this.#arrive(`${task} ${to}`, item);
    }
    for (const collective of action.completes) {
      const byDevice = this.#gradients.get(collective) ?? new Map<number, number>();
      this.#gradients.set(collective, byDevice.set(device, at));
    }
    return at;
  }

  #update(device: number, action: Extract<Action, { readonly kind: 'update' }>, after: number): number {
    const us = action.runs * this.#costs.updateUs + this.#taskUs[action.task]!;
    const run = this.#add(THREADS_PER_DEVICE * device + 1, us, [after], 0);
    if (action.collective !== undefined) this.#await(`${action.collective} ${device}`, run);
    return this.javaScript(device, this.copyUs(action.copying), [run]);
  }

  /** All messages of a sum, piece by piece. */
  #reduce(collective: CollectiveTask): void {
    const { id, algorithm, devices, messageBytes } = collective;
    const starts = devices.map((device) => this.javaScript(device, 0, [this.#gradients.get(id)!.get(device)!]));
    if (collective.isRead) {
      this.#readTerms(collective, starts);
      return;
    }
    const pieces = Math.max(1, Math.ceil(messageBytes / (algorithm === 'ring' ? devices.length : 1) / PIECE_BYTES));
    const ends: number[][] = [];
    for (let piece = 0; piece < pieces; piece++) {
      ends.push(reducePiece(this, collective, messageBytes / pieces, ends.at(-PIPELINE_WIDTH) ?? starts));
    }
    for (const end of ends) devices.forEach((device, i) => this.#arrive(`${id} ${device}`, end[i]!));
  }

  /** Devices tell each other that their terms are complete, and read those of the others as they update. */
  #readTerms({ id, devices, bytes }: CollectiveTask, starts: readonly number[]): void {
    const came: number[][] = devices.map(() => []);
    const sent = devices.map((device, rank) =>
      devices.reduce(
        (at, other, k) => (k === rank ? at : this.message(device, other, 0, 0, at, came[k]!)),
        starts[rank]!,
      ),
    );
    const { readUsPerMiB = this.#costs.copyUsPerMiB } = this.#costs;
    const readUs = (readUsPerMiB * (devices.length - 1) * bytes) / MIB;
    devices.forEach((device, rank) => {
      const told = this.javaScript(device, 0, [sent[rank]!, ...came[rank]!]);
      this.#arrive(`${id} ${device}`, this.#add(THREADS_PER_DEVICE * device + 1, readUs, [told], 0));
    });
  }

  #await(key: string, item: number): void {
    this.#awaiting.set(key, [...(this.#awaiting.get(key) ?? []), item]);
    for (const arrived of this.#arrived.get(key) ?? []) this.#edge(arrived, item);
  }

  #arrive(key: string, item: number): void {
    this.#arrived.set(key, [...(this.#arrived.get(key) ?? []), item]);
    for (const waiting of this.#awaiting.get(key) ?? []) this.#edge(item, waiting);
  }

  #add(thread: number, us: number, after: readonly number[], delayUs: number): number {
    const item = this.items.push({ thread, us, delayUs, successors: [], waitsFor: 0 }) - 1;
    for (const each of after) this.#edge(each, item);
    return item;
  }

  #edge(from: number, to: number): void {
    this.items[from]!.successors.push(to);
    this.items[to]!.waitsFor += 1;
  }
}

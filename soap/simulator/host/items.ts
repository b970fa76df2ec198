import type { HostCosts } from '../../cost/cost-table.ts';
import type { CollectiveTask } from '../../tasks/task-graph.ts';
import type { Copying } from './copies.ts';
import { NO_COPYING } from './copies.ts';
import { readTermBytes, termOrders } from '../../tasks/read-sums.ts';
import type { Action, HostPlan, Outgoing } from './plan.ts';
import { HostItems } from './host-items.ts';
import type { KernelRuns } from './short-kernels.ts';
import { kernelsOf, kernelTime, readingUs } from './short-kernels.ts';
import type { HostMessage } from './sums.ts';
import { reducePiece } from './sums.ts';

const MIB = 2 ** 20;

/** A step on one host, and what its tasks add to kernels; microseconds of a core. */
export interface HostWork {
  readonly plan: HostPlan;
  /** By task. */
  readonly taskUs: Float64Array;
  /** By shard: what adds its gradient to another, and what sums its squares. */
  readonly accumulateUs: Float64Array;
  readonly squaresUs: Float64Array;
}

/** Threads of a device as far as they are simulated. */
export const THREADS_PER_DEVICE = 3;

/** Bytes of a device's result, and of the first one's word. Source: `runtime/program/conductor.ts`. */
const [RESULT_BYTES, WORD_BYTES] = [32, 1];

/** Bytes of one message of a sum, and pieces in work at once. Source: `runtime/collectives/all-reduce.ts`. */
const [PIECE_BYTES, PIPELINE_WIDTH] = [MIB, 8];

/** Bytes of what a device knows of the factor of all gradients. Source: `runtime/program/gradient-scale.ts`. */
const SHARE_BYTES = 16;

/** What a thread takes to make a MiB of masks, a byte for each element. Source: docs/performance/kernels.md, on one core of its machine. */
const MASK_US_PER_MIB = 1900;

/** Items of some steps, one after the other. */
export interface HostIterations {
  readonly items: HostItems;
  /** By step: the last one of every device. */
  readonly ends: readonly (readonly number[])[];
  /** By step, then micro-batch: the last segment of the first device. */
  readonly passEnds: readonly (readonly number[])[];
}

/**
 * Lays steps out as items of the host's threads: device d has the JavaScript thread 3 d, the kernel thread
 * 3 d + 1, and one for the masks of the next batch, 3 d + 2.
 * @param microBatches of each step, whatever the plan says
 */
export function hostIterations(
  work: HostWork,
  costs: HostCosts,
  iterations: number,
  microBatches: number,
): HostIterations {
  const builder = new IterationBuilder(work, costs);
  const [ends, passEnds]: [number[][], number[][]] = [[], []];
  for (let i = 0; i < iterations; i++) {
    const step = builder.step(ends.at(-1), microBatches);
    ends.push(step.ends);
    passEnds.push(step.passEnds);
  }
  return { items: builder.items, ends, passEnds };
}

/** What a device adds to a sum. */
interface CompleteGradient {
  /** By which it is complete. */
  readonly item: number;
  /** Whether the device has sent something right before. */
  readonly follows: boolean;
}

/** Adds items; what the algorithms of sums need. */
export class IterationBuilder {
  readonly items: HostItems = new HostItems();
  readonly #plan: HostPlan;
  readonly #work: HostWork;
  readonly #costs: HostCosts;
  /** Of this micro-batch: items by which messages of a task have come to a device, and items that wait for them. */
  #arrived = new Map<number, number[]>();
  #awaiting = new Map<number, number[]>();
  /** Of this step: by collective, then device, its gradient. */
  #gradients = new Map<number, Map<number, CompleteGradient>>();
  /** By device: the item by which the masks of the next batch are made. */
  readonly #masks = new Map<number, number>();
  /** Of the last iteration, by device: items after which its gradients may be written again. */
  #writable: readonly (readonly number[])[] = [];
  /** By iteration, then device: the item by which the first one's word has come that all have done it. */
  readonly #words: number[][] = [];

  constructor(work: HostWork, costs: HostCosts) {
    [this.#plan, this.#work, this.#costs] = [work.plan, work, costs];
  }

  /**
   * Adds a step of so many micro-batches.
   * @param before the last items of the step before
   * @returns the last item of each device, and of each micro-batch the first device's last segment
   */
  step(before: readonly number[] | undefined, microBatches: number): { ends: number[]; passEnds: number[] } {
    const { actions, collectives, handling } = this.#plan;
    const words = this.#words.at(-2);
    this.#gradients = new Map();
    let at = actions.map((_, device) => [before?.[device] ?? [], words?.[device] ?? []].flat());
    let last: number[] = [];
    const passEnds: number[] = [];
    for (let microBatch = 0; microBatch < microBatches; microBatch++) {
      [this.#arrived, this.#awaiting] = [new Map(), new Map()];
      const isLast = microBatch === microBatches - 1;
      last = at.map((waits, device) => this.#pass(device, this.#begin(device, waits), isLast));
      passEnds.push(last[0]!);
      at = last.map((item) => [item]);
    }
    for (const collective of collectives) this.#reduce(collective);
    const agreed = handling.isScaled ? this.#agree(last) : last;
    const ends = this.#tellRead(agreed.map((item, device) => this.#lateUpdates(device, item)));
    this.#handIn(ends);
    return { ends, passEnds };
  }

  /** Devices tell each other what they know of the factor of all gradients: `DeviceProgram` of runtime/program. */
  #agree(last: readonly number[]): number[] {
    const ready = this.#plan.handling.isClipped ? last.map((at, device) => this.#squares(device, at)) : last;
    const came: number[][] = ready.map(() => []);
    const sent = ready.map((from, device) =>
      ready.reduce(
        (at, _, to) =>
          to === device
            ? at
            : this.message({ from: device, to, bytes: SHARE_BYTES, follows: at !== from }, at, came[to]!),
        from,
      ),
    );
    return sent.map((at, device) => this.javaScript(device, 0, [at, ...came[device]!]));
  }

  /** A device waits for its sums, one after the other, and squares those that it counts: `ShardPrograms.squares`. */
  #squares(device: number, after: number): number {
    const { updateUs: startUs } = this.#costs;
    const { accumulateUs, squaresUs } = this.#work;
    return this.#plan.shards[device]!.reduce((before, { id, collective, countsSquares }) => {
      let at = this.javaScript(device, 0, [before]);
      if (collective !== undefined) this.#await(collective.id, device, at);
      if (!countsSquares) return at;
      if (collective?.isRead === true) {
        const readUs = readingUs(this.#costs, readTermBytes(collective));
        const workUs = (collective.devices.length - 1) * accumulateUs[id]! + readUs;
        at = this.#kernels(device, { runs: termOrders(collective), startUs, workUs }, at);
      }
      return this.#kernels(device, { runs: 1, startUs, workUs: squaresUs[id]! }, at);
    }, after);
  }

  /** Devices tell those whose gradients they have read that they may be written: `runtime/collectives/shared-gradients.ts`. */
  #tellRead(updated: readonly number[]): number[] {
    const came: number[][] = updated.map(() => []);
    const ends = updated.map((after, device) =>
      this.#plan.readers[device]!.reduce(
        (at, to) => this.message({ from: device, to, bytes: 0, follows: at !== after }, at, came[to]!),
        after,
      ),
    );
    this.#writable = came;
    return ends;
  }

  /** Results go to the first device, and its word comes back: `runtime/program/conductor.ts`. */
  #handIn(ends: readonly number[]): void {
    const came: number[] = [ends[0]!];
    for (let device = 1; device < ends.length; device++)
      this.message({ from: device, to: 0, bytes: RESULT_BYTES }, ends[device]!, came);
    let at = this.javaScript(0, 0, came);
    const words = [at];
    for (let device = 1; device < ends.length; device++) {
      const heard: number[] = [];
      at = this.message({ from: 0, to: device, bytes: WORD_BYTES, follows: device > 1 }, at, heard);
      words.push(heard[0]!);
    }
    this.#words.push(words);
  }

  /** Adds a message; returns when it is sent. @param came gets the item by which it has come */
  message({ from, to, bytes, useUs = 0, follows = false }: HostMessage, after: number, came: number[]): number {
    const { receiveUs, receiveUsPerMiB, wakeUs } = this.#costs;
    const sent = this.javaScript(from, this.sendingUs({ bytes, packing: NO_COPYING }, follows), [after]);
    came.push(this.javaScript(to, receiveUs + (receiveUsPerMiB * bytes) / MIB + useUs, [sent], wakeUs));
    return sent;
  }

  /** Work of a device's JavaScript thread. */
  javaScript(device: number, us: number, after: readonly number[], wakeUs: number = 0): number {
    return this.#add(THREADS_PER_DEVICE * device, us, after, wakeUs);
  }

  /** What a message takes at the end that sends it. @param follows whether it is sent right after another */
  sendingUs({ bytes, packing }: Pick<Outgoing, 'bytes' | 'packing'>, follows: boolean): number {
    const { sendUs = 0, messageUs, messageUsPerMiB } = this.#costs;
    return this.copyUs(packing) + (follows ? 0 : sendUs) + messageUs + (messageUsPerMiB * bytes) / MIB;
  }

  copyUs({ copiedBytes, summedBytes, longSummedBytes, runs }: Copying): number {
    const { copyUsPerMiB, copyUsPerRun, sumUsPerMiB, longSumUsPerMiB = sumUsPerMiB } = this.#costs;
    const bytesUs = copiedBytes * copyUsPerMiB + summedBytes * sumUsPerMiB + longSummedBytes * longSumUsPerMiB;
    return bytesUs / MIB + runs * copyUsPerRun;
  }

  /**
   * A micro-batch is fetched. No device gets further ahead of the others than the first one's word allows, which its step waits for:
   * `runtime/program/conductor.ts`.
   */
  #begin(device: number, waits: readonly number[]): number {
    const masks = this.#masks.get(device) ?? [];
    const [batchBytes, maskBytes] = [this.#plan.batchBytes[device]!, this.#plan.maskBytes[device]!];
    const copying = { ...NO_COPYING, copiedBytes: 2 * (batchBytes + maskBytes) };
    // Rows of the next batch that the system has in memory are read at once: `runtime/storage/cached-bytes.ts`.
    const rowsUs = (this.#costs.rowUs ?? 0) * this.#plan.batchRows[device]!;
    const begun = this.javaScript(device, this.#costs.stepUs + rowsUs + this.copyUs(copying), [waits, masks].flat());
    // Its masks are made meanwhile: `runtime/masks/masks.ts`.
    const masksUs = (MASK_US_PER_MIB * maskBytes) / MIB;
    if (masksUs > 0) this.#masks.set(device, this.#add(THREADS_PER_DEVICE * device + 2, masksUs, [begun], 0));
    return begun;
  }

  /** What a device does before its sums are there, or, of a micro-batch before the last, in all. */
  #pass(device: number, after: number, isLast: boolean): number {
    let at = after;
    for (const action of this.#plan.actions[device]!) {
      if (action.kind === 'segment') at = this.#segment(device, action, at, isLast);
      else if (isLast && !this.#isLate(action)) at = this.#update(device, action, at);
    }
    return at;
  }

  /** The updates that wait for other devices. */
  #lateUpdates(device: number, after: number): number {
    return this.#plan.actions[device]!.reduce(
      (at, action) => (action.kind === 'update' && this.#isLate(action) ? this.#update(device, action, at) : at),
      after,
    );
  }

  #isLate({ collective }: Extract<Action, { readonly kind: 'update' }>): boolean {
    return collective !== undefined || this.#plan.handling.isScaled;
  }

  #segment(
    device: number,
    action: Extract<Action, { readonly kind: 'segment' }>,
    after: number,
    isLast: boolean,
  ): number {
    const fillUs = action.copying.reduce((sum, copying) => sum + this.copyUs(copying), 0);
    const fill = this.javaScript(device, fillUs, [after]);
    for (const task of action.receives) this.#await(task, device, fill);
    if (action.isBackward) for (const read of this.#writable[device] ?? []) this.items.order(read, fill);
    let at = this.#kernels(device, kernelsOf(action, this.#work.taskUs, this.#costs), fill);
    if (this.#plan.handling.accumulationSteps > 1) at = this.#accumulate(device, action.gradients, at);
    for (const [i, { to, bytes, packing, task }] of action.sends.entries()) {
      const came: number[] = [];
      const packUs = this.copyUs(packing);
      const packed = packUs > 0 ? this.javaScript(device, packUs, [at]) : at;
      at = this.message({ from: device, to, bytes, follows: i > 0 }, packed, came);
      for (const item of came) this.#arrive(task, to, item);
    }
    for (const [i, collective] of (isLast ? action.completes : []).entries()) {
      const byDevice = this.#gradients.get(collective) ?? new Map<number, CompleteGradient>();
      this.#gradients.set(collective, byDevice.set(device, { item: at, follows: i > 0 || action.sends.length > 0 }));
    }
    return at;
  }

  /** Gradients are added up with those of other micro-batches, each by a kernel: `runtime/program/segment-runner.ts`. */
  #accumulate(device: number, gradients: readonly number[], after: number): number {
    const { updateUs } = this.#costs;
    const { accumulateUs } = this.#work;
    return gradients.reduce(
      (at, shard) => this.#kernels(device, { runs: 1, startUs: updateUs, workUs: accumulateUs[shard]! }, at),
      after,
    );
  }

  #update(device: number, action: Extract<Action, { readonly kind: 'update' }>, after: number): number {
    const run = this.#kernels(device, kernelsOf(action, this.#work.taskUs, this.#costs), after);
    if (action.collective !== undefined) this.#await(action.collective, device, run);
    return this.javaScript(device, this.copyUs(action.copying), [run]);
  }

  /** Kernels of one action, on the thread that they run on. */
  #kernels(device: number, kernels: KernelRuns, after: number): number {
    const { us, isHere } = kernelTime(this.#costs, kernels);
    return this.#add(THREADS_PER_DEVICE * device + (isHere ? 0 : 1), us, [after], 0);
  }

  /** All messages of a sum, piece by piece. */
  #reduce(collective: CollectiveTask): void {
    const { id, algorithm, devices, messageBytes } = collective;
    const gradients = devices.map((device) => this.#gradients.get(id)!.get(device)!);
    const starts = devices.map((device, rank) => this.javaScript(device, 0, [gradients[rank]!.item]));
    if (collective.isRead) {
      this.#readTerms(
        collective,
        starts,
        gradients.map(({ follows }) => follows),
      );
      return;
    }
    const pieces = Math.max(1, Math.ceil(messageBytes / (algorithm === 'ring' ? devices.length : 1) / PIECE_BYTES));
    const ends: number[][] = [];
    for (let piece = 0; piece < pieces; piece++) {
      ends.push(reducePiece(this, collective, messageBytes / pieces, ends.at(-PIPELINE_WIDTH) ?? starts));
    }
    for (const end of ends) devices.forEach((device, i) => this.#arrive(id, device, end[i]!));
  }

  /** Devices tell each other that their terms are complete, and read those of the others as they update. */
  #readTerms(collective: CollectiveTask, starts: readonly number[], follows: readonly boolean[]): void {
    const { id, devices } = collective;
    const came: number[][] = devices.map(() => []);
    const sent = devices.map((device, rank) =>
      devices.reduce((at, to, k) => {
        const note = { from: device, to, bytes: 0, follows: follows[rank]! || at !== starts[rank]! };
        return k === rank ? at : this.message(note, at, came[k]!);
      }, starts[rank]!),
    );
    devices.forEach((device, rank) =>
      this.#arrive(id, device, this.javaScript(device, 0, [sent[rank]!, ...came[rank]!])),
    );
  }

  /** An item waits for what comes of a task to its device. */
  #await(task: number, device: number, item: number): void {
    const key = this.#key(task, device);
    append(this.#awaiting, key, item);
    for (const arrived of this.#arrived.get(key) ?? []) this.items.order(arrived, item);
  }

  #arrive(task: number, device: number, item: number): void {
    const key = this.#key(task, device);
    append(this.#arrived, key, item);
    for (const waiting of this.#awaiting.get(key) ?? []) this.items.order(item, waiting);
  }

  #key(task: number, device: number): number {
    return task * this.#plan.actions.length + device;
  }

  #add(thread: number, us: number, after: readonly number[], wakeUs: number): number {
    const item = this.items.add(thread, us, wakeUs);
    for (const each of after) this.items.order(each, item);
    return item;
  }
}

function append(lists: Map<number, number[]>, key: number, item: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

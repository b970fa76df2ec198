import type { Network } from './network.ts';
import { firstOf, listPredecessors, listSuccessors, TaskList } from './neighbours.ts';
import type { Snapshot } from './snapshots.ts';
import { TaskHeap } from './task-heap.ts';
import { grown } from './task-store.ts';

/** Tasks between two snapshots, at least; and how many snapshots there are, at most. */
const SNAPSHOT_TASKS = 128;
const MAX_SNAPSHOTS = 128;

/** A bound is only believed where it exceeds the limit by more than rounding can. */
const ROUNDING = 1 + 1e-9;

/** Where a replay starts, and how far it may go. */
interface ReplayStart {
  /** A state before the first task that may change, or feeds one that does; undefined for the beginning. */
  readonly snapshot: Snapshot | undefined;
  /** Tasks of the network that are there no more. */
  readonly leaving: number;
  /** The replay may stop once the makespan is certain to exceed this. */
  readonly limitUs: number;
}

/**
 * Simulates the network from a snapshot to its end: the same steps as `simulate`, with the past taken as it was. Nothing is
 * lost of the accepted timeline until `accept`.
 */
export class Replay {
  readonly #network: Network;
  readonly #heap = new TaskHeap();
  readonly #freeUs: Float64Array;
  readonly #doneUs: Float64Array;
  /** Of this replay, where `#stamp` is that of this replay. */
  #readyUs = new Float64Array(0);
  #endUs = new Float64Array(0);
  #missing = new Int32Array(0);
  #stamp = new Int32Array(0);
  #round = 0;
  #order = new Int32Array(0);
  #count = 0;
  #snapshots: Snapshot[] = [];
  /** Where the past ends. */
  #position = 0;
  #makespanUs = 0;
  readonly #successors = new TaskList();
  readonly #predecessors = new TaskList();

  constructor(network: Network) {
    this.#network = network;
    this.#freeUs = new Float64Array(network.resources.count);
    this.#doneUs = new Float64Array(network.resources.count);
  }

  /** Tasks that were simulated anew. */
  get count(): number {
    return this.#count;
  }

  /** Returns the makespan, or Infinity where it stopped because that exceeds the limit. */
  run({ snapshot, leaving, limitUs }: ReplayStart): number {
    this.#begin(snapshot);
    const { tasks, resources, loads } = this.#network;
    const loadUs = loads.us;
    const [heap, freeUs, doneUs] = [this.#heap, this.#freeUs, this.#doneUs];
    const { sets, isRoute, deviceCount } = resources;
    const surelyUs = limitUs * ROUNDING;
    const spacing = Math.max(SNAPSHOT_TASKS, Math.ceil(tasks.size / MAX_SNAPSHOTS));
    let untilSnapshot = spacing;
    for (;;) {
      const readyUs = heap.readyUs[0]!;
      const task = heap.pop();
      if (task < 0) break;
      const set = tasks.set[task]!;
      const amount = tasks.amount[task]!;
      let endUs: number;
      if (set < deviceCount) {
        endUs = (freeUs[set]! > readyUs ? freeUs[set]! : readyUs) + amount;
        freeUs[set] = endUs;
        doneUs[set]! += amount;
        if (endUs + loadUs[set]! - doneUs[set]! > surelyUs) return Infinity;
      } else {
        endUs = isRoute[set]! ? this.#pass(sets[set]!, readyUs, amount) : this.#hold(sets[set]!, readyUs, amount);
        if (endUs > surelyUs || this.#overtime(sets[set]!, surelyUs)) return Infinity;
      }
      this.#readyUs[task] = readyUs;
      this.#endUs[task] = endUs;
      this.#order[this.#count++] = task;
      if (endUs > this.#makespanUs) this.#makespanUs = endUs;
      this.#release(task, endUs);
      if (--untilSnapshot > 0) continue;
      untilSnapshot = spacing;
      this.#snapshots.push(this.#takeSnapshot(readyUs));
    }
    if (this.#position + this.#count !== tasks.size - leaving) {
      throw new Error('internal: the task graph has a cycle');
    }
    return this.#makespanUs;
  }

  /** The same as `passRoute`. Returns when all has arrived. */
  #pass(links: Int32Array, readyUs: number, bytes: number): number {
    const { usPerByte, linkLatencyUs } = this.#network.resources;
    const [freeUs, doneUs] = [this.#freeUs, this.#doneUs];
    let headUs = readyUs;
    let tailUs = readyUs;
    for (let i = 0; i < links.length; i++) {
      const link = links[i]!;
      const holdUs = bytes * usPerByte[link]!;
      const enterUs = freeUs[link]! > headUs ? freeUs[link]! : headUs;
      const leaveUs = enterUs + holdUs;
      freeUs[link] = leaveUs;
      doneUs[link]! += holdUs;
      headUs = enterUs + linkLatencyUs[link]!;
      tailUs = (leaveUs > tailUs ? leaveUs : tailUs) + linkLatencyUs[link]!;
    }
    return tailUs;
  }

  /** Holds all resources at once. Returns until when. */
  #hold(resources: Int32Array, readyUs: number, durationUs: number): number {
    const [freeUs, doneUs] = [this.#freeUs, this.#doneUs];
    let startUs = readyUs;
    for (let i = 0; i < resources.length; i++) if (freeUs[resources[i]!]! > startUs) startUs = freeUs[resources[i]!]!;
    const endUs = startUs + durationUs;
    for (let i = 0; i < resources.length; i++) {
      freeUs[resources[i]!] = endUs;
      doneUs[resources[i]!]! += durationUs;
    }
    return endUs;
  }

  /** Whether what is still to come for one of the resources is certain to end too late. */
  #overtime(resources: Int32Array, surelyUs: number): boolean {
    const loadUs = this.#network.loads.us;
    for (let i = 0; i < resources.length; i++) {
      const resource = resources[i]!;
      if (this.#freeUs[resource]! + loadUs[resource]! - this.#doneUs[resource]! > surelyUs) return true;
    }
    return false;
  }

  /** Makes the replayed timeline the accepted one. */
  accept(order: Int32Array, snapshots: Snapshot[]): Int32Array {
    const { tasks } = this.#network;
    const total = this.#position + this.#count;
    const kept = order.length >= total ? order : grown(order, new Int32Array(2 * total));
    for (let i = 0; i < this.#count; i++) {
      const task = this.#order[i]!;
      kept[this.#position + i] = task;
      tasks.position[task] = this.#position + i;
      tasks.readyUs[task] = this.#readyUs[task]!;
      tasks.endUs[task] = this.#endUs[task]!;
    }
    while (snapshots.length > 0 && snapshots.at(-1)!.position > this.#position) snapshots.pop();
    snapshots.push(...this.#snapshots);
    this.#snapshots = [];
    return kept;
  }

  #begin(snapshot: Snapshot | undefined): void {
    this.#reserve(this.#network.tasks.capacity);
    this.#round += 1;
    this.#count = 0;
    this.#snapshots = [];
    this.#heap.clear();
    this.#position = snapshot?.position ?? 0;
    this.#makespanUs = snapshot?.makespanUs ?? 0;
    if (snapshot === undefined) {
      this.#freeUs.fill(0);
      this.#doneUs.fill(0);
      this.#enqueueSources();
      return;
    }
    this.#freeUs.set(snapshot.freeUs);
    this.#doneUs.set(snapshot.doneUs);
    snapshot.queued.forEach((task, i) => this.#enqueue(task, snapshot.queuedReadyUs[i]!));
  }

  /** Forward tasks that wait for nothing; every other task waits for some. */
  #enqueueSources(): void {
    for (const { forward } of this.#network.ops) {
      for (let part = 0; part < forward.main.length; part++) {
        const task = firstOf(forward, part);
        this.#countPredecessors(task);
        if (this.#missing[task] === 0) this.#enqueue(task, 0);
      }
    }
  }

  #enqueue(task: number, readyUs: number): void {
    this.#heap.push(task, readyUs, this.#network.tasks.key[task]!);
  }

  /** Finds out how many replayed tasks a task waits for, and when those of the past ended. */
  #countPredecessors(task: number): void {
    listPredecessors(this.#network, task, this.#predecessors);
    const { position, endUs } = this.#network.tasks;
    const { ids, count } = this.#predecessors;
    let [missing, readyUs] = [0, 0];
    for (let i = 0; i < count; i++) {
      const predecessor = ids[i]!;
      if (position[predecessor]! >= this.#position) missing += 1;
      else if (endUs[predecessor]! > readyUs) readyUs = endUs[predecessor]!;
    }
    this.#missing[task] = missing;
    this.#readyUs[task] = readyUs;
    this.#stamp[task] = this.#round;
  }

  /** Lets the tasks that wait for one know that it has ended. */
  #release(task: number, endUs: number): void {
    listSuccessors(this.#network, task, this.#successors);
    const { ids, count } = this.#successors;
    const [stamp, readyUs, missing] = [this.#stamp, this.#readyUs, this.#missing];
    for (let i = 0; i < count; i++) {
      const successor = ids[i]!;
      if (stamp[successor] !== this.#round) this.#countPredecessors(successor);
      if (endUs > readyUs[successor]!) readyUs[successor] = endUs;
      const left = missing[successor]! - 1;
      missing[successor] = left;
      if (left === 0) this.#enqueue(successor, readyUs[successor]!);
    }
  }

  #takeSnapshot(lastReadyUs: number): Snapshot {
    const { size, ids, readyUs } = this.#heap;
    return {
      position: this.#position + this.#count,
      lastReadyUs,
      makespanUs: this.#makespanUs,
      freeUs: this.#freeUs.slice(),
      doneUs: this.#doneUs.slice(),
      queued: ids.slice(0, size),
      queuedReadyUs: readyUs.slice(0, size),
    };
  }

  #reserve(capacity: number): void {
    if (this.#stamp.length >= capacity) return;
    this.#readyUs = new Float64Array(capacity);
    this.#endUs = new Float64Array(capacity);
    this.#missing = new Int32Array(capacity);
    this.#stamp = new Int32Array(capacity);
    this.#order = new Int32Array(capacity);
  }
}

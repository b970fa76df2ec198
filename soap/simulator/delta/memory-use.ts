import type { Cluster } from '../../cluster/cluster.ts';
import type { Graph } from '../../graph/graph.ts';
import type { OptimizerName } from '../../job/training-job.ts';
import type { EdgeGeometry } from '../../tasks/geometry/edge-geometry.ts';
import { boxVolume } from '../../tasks/geometry/boxes.ts';
import type { OpGeometry } from '../../tasks/geometry/op-geometry.ts';
import { opNeeds } from '../../tasks/liveness/op-needs.ts';
import type { OpSplit } from '../../tasks/liveness/reused-memory.ts';
import { reusedBytes } from '../../tasks/liveness/reused-memory.ts';
import { copyMemoryBytes, partMemoryBytes, shardMemoryBytes } from '../../tasks/memory.ts';
import { BYTES_PER_ELEMENT } from '../../tasks/work.ts';
import type { OpPlacement, ParameterState } from './states.ts';

/** Ops times devices beyond which memory is not looked at exactly: that would take minutes. */
const MAX_PLACES = 2 ** 16;

/** Tasks beyond which it is not either: with two million, it took 14 s and 3.7 GB. */
const MAX_TASKS = 2 ** 20;

/** What the exact numbers take for an op on a device, and for a task: measured on an Intel Xeon core, GPT on 64 and 128 GPUs. */
const [PLACE_MS, TASK_MS] = [0.15, 0.006];

/** Ops times devices up to which memory is always looked at exactly: that takes some hundredths of a second. */
const FEW_PLACES = 2 ** 8;

/**
 * Memory that each device needs, kept while states come and go: the numbers of `deviceMemoryBytes`, which are as if nothing
 * made room for anything else. Where a device has less, {@link reusedBytes} says what makes room.
 */
export class MemoryUse {
  /** By device. Whole numbers, so that adding and taking away is exact. */
  readonly bytes: Float64Array;
  readonly #graph: Graph;
  readonly #optimizer: OptimizerName;
  readonly #accumulationSteps: number;
  readonly #capacity: Float64Array;
  readonly #ofParts = new Map<OpGeometry, Float64Array>();
  readonly #readsOfParts = new WeakMap<OpGeometry, Float64Array>();

  constructor(graph: Graph, { devices }: Cluster, optimizer: OptimizerName, accumulationSteps: number) {
    this.#graph = graph;
    this.#optimizer = optimizer;
    this.#accumulationSteps = accumulationSteps;
    this.bytes = new Float64Array(devices.length);
    this.#capacity = Float64Array.from(devices, ({ memoryBytes }) => memoryBytes);
  }

  /** What the devices need beyond what they have, in all. @param ops by id */
  missingBytes(ops: readonly OpPlacement[]): number {
    if (this.bytes.every((bytes, device) => bytes <= this.#capacity[device]!)) return 0;
    return this.reusing(ops).reduce((sum, bytes, device) => sum + Math.max(0, bytes - this.#capacity[device]!), 0);
  }

  /** What each device needs where memory is used again: an estimate. @param ops by id */
  reusing(ops: readonly OpPlacement[]): Float64Array {
    const splits = ops.map(({ geometry, devices }, op): OpSplit => {
      return { outputBytes: geometry.outputBytes, readBytes: this.#readBytes(op, geometry), devices };
    });
    const reused = reusedBytes(opNeeds(this.#graph), splits, this.bytes.length);
    const needed = reused.map((bytes, device) => this.bytes[device]! - bytes);
    for (const { geometry, devices } of ops) {
      for (let part = 0; part < devices.length; part++) needed[devices[part]!]! += toldBytes(geometry, part);
    }
    return needed;
  }

  /** Whether the exact numbers of a strategy of so many tasks can be had. */
  allowsExact(tasks: number): boolean {
    return this.#places <= MAX_PLACES && tasks <= MAX_TASKS;
  }

  /** Milliseconds that the exact numbers of a strategy of so many tasks take, roughly. */
  exactMs(tasks: number): number {
    return this.#places * PLACE_MS + tasks * TASK_MS;
  }

  /**
   * Whether only the exact numbers say that all devices have enough: they may lack some where nothing is used again, copies and
   * gradients of all that is read and statistics included; and the numbers can be had.
   * @param ops by id
   * @param tasks how many the strategy has
   */
  asksForExact(ops: readonly OpPlacement[], tasks: number): boolean {
    const allows = this.allowsExact(tasks);
    if (this.#places <= FEW_PLACES || !allows) return allows;
    return this.most(ops).some((bytes, device) => bytes > this.#capacity[device]!);
  }

  get #places(): number {
    return this.#graph.ops.length * this.bytes.length;
  }

  /** What no device can need more than, whatever the order of its tasks. @param ops by id */
  most(ops: readonly OpPlacement[]): Float64Array {
    const most = this.bytes.slice();
    for (const { geometry, devices } of ops) {
      const { inputs } = geometry;
      for (let part = 0; part < devices.length; part++) {
        const read = inputs.reduce((sum, boxes) => sum + boxVolume(boxes, part) * BYTES_PER_ELEMENT, 0);
        most[devices[part]!]! += toldBytes(geometry, part) + 2 * read;
      }
    }
    return most;
  }

  /** @param sign 1 to add, -1 to take away */
  countOp(op: number, { geometry, devices }: OpPlacement, sign: 1 | -1): void {
    const ofParts = this.#partBytes(op, geometry);
    for (let part = 0; part < geometry.parts; part++) this.bytes[devices[part]!]! += sign * ofParts[part]!;
  }

  /** What an edge's consumer cannot read in place. */
  countEdge({ readBytes, sameBox }: EdgeGeometry, producer: OpPlacement, consumer: OpPlacement, sign: 1 | -1): void {
    for (let part = 0; part < readBytes.length; part++) {
      const source = sameBox[part]!;
      const device = consumer.devices[part]!;
      if (source >= 0 && producer.devices[source] === device) continue;
      this.bytes[device]! += sign * copyMemoryBytes(readBytes[part]!, source >= 0);
    }
  }

  countParameter(state: ParameterState, sign: 1 | -1): void {
    const { isTrained, geometry, holders, shardOfUpdate } = state;
    for (let update = 0; update < holders.length; update++) {
      const bytes = geometry.bytes[shardOfUpdate[update]!]!;
      this.bytes[holders[update]!]! +=
        sign * shardMemoryBytes(bytes, isTrained, this.#optimizer, this.#accumulationSteps);
    }
    if (geometry.count > 1) this.#countBoxes(state, sign);
  }

  /** Boxes of several shards that a part reads as one: they are kept beside the shards. */
  #countBoxes({ geometry, holders, updateOfRead }: ParameterState, sign: 1 | -1): void {
    const { bytes, fromPart, readShard } = geometry;
    for (const from of fromPart) {
      for (let part = 0; part + 1 < from.length; part++) {
        const [start, end] = [from[part]!, from[part + 1]!];
        if (end - start < 2) continue;
        const device = holders[updateOfRead[start]!]!;
        for (let read = start; read < end; read++) this.bytes[device]! += sign * bytes[readShard[read]!]!;
      }
    }
  }

  /** By part, what it reads, the batch left out. */
  #readBytes(op: number, geometry: OpGeometry): Float64Array {
    let bytes = this.#readsOfParts.get(geometry);
    if (bytes === undefined) {
      bytes = new Float64Array(geometry.parts);
      for (const [input, tensor] of this.#graph.ops[op]!.inputs.entries()) {
        if (this.#graph.tensors[tensor]!.role === 'input') continue;
        const boxes = geometry.inputs[input]!;
        for (let part = 0; part < bytes.length; part++) bytes[part]! += boxVolume(boxes, part) * BYTES_PER_ELEMENT;
      }
      this.#readsOfParts.set(geometry, bytes);
    }
    return bytes;
  }

  #partBytes(op: number, geometry: OpGeometry): Float64Array {
    let bytes = this.#ofParts.get(geometry);
    if (bytes === undefined) {
      const { inputs } = this.#graph.ops[op]!;
      const savedShare = opNeeds(this.#graph).savedShare[op]!;
      bytes = Float64Array.from({ length: geometry.parts }, (_, part) => {
        let inputBytes = 0;
        inputs.forEach((tensor, input) => {
          if (this.#graph.tensors[tensor]!.role !== 'input') return;
          inputBytes += boxVolume(geometry.inputs[input]!, part) * BYTES_PER_ELEMENT;
        });
        return partMemoryBytes(geometry.outputBytes[part]!, savedShare, inputBytes);
      });
      this.#ofParts.set(geometry, bytes);
    }
    return bytes;
  }
}

/** Statistics that a part tells and is told. */
function toldBytes(
  { groupOf, groups, forwardStatisticsBytes, backwardStatisticsBytes }: OpGeometry,
  part: number,
): number {
  const group = groupOf[part]!;
  return (1 + groups[group]!.length) * (forwardStatisticsBytes[group]! + backwardStatisticsBytes[group]!);
}

import type { Cluster } from '../../cluster/cluster.ts';
import type { Graph } from '../../graph/graph.ts';
import type { OptimizerName } from '../../job/training-job.ts';
import type { EdgeGeometry } from '../../tasks/geometry/edge-geometry.ts';
import { boxVolume } from '../../tasks/geometry/boxes.ts';
import type { OpGeometry } from '../../tasks/geometry/op-geometry.ts';
import { opNeeds } from '../../tasks/liveness/op-needs.ts';
import { reusedBytes } from '../../tasks/liveness/reused-memory.ts';
import { partMemoryBytes, shardMemoryBytes } from '../../tasks/memory.ts';
import { BYTES_PER_ELEMENT } from '../../tasks/work.ts';
import type { OpPlacement, ParameterState } from './states.ts';

/** Ops times devices beyond which memory counts as if it were not used again: exact numbers would take minutes. */
const MAX_PLACES: number = 2 ** 16;

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

  /** What each device needs where memory is used again; as if it were not, where there is too much to look at. @param ops by id */
  reusing(ops: readonly OpPlacement[]): Float64Array {
    if (ops.length * this.bytes.length > MAX_PLACES) return this.bytes.slice();
    const splits = ops.map(({ geometry: { outputBytes }, devices }) => ({ outputBytes, devices }));
    const reused = reusedBytes(opNeeds(this.#graph), splits, this.bytes.length);
    return reused.map((bytes, device) => this.bytes[device]! - bytes);
  }

  /**
   * Whether only the exact numbers say that all devices have enough: they may lack some where nothing is used again, copies and
   * gradients of all that is read, saved values and statistics included; and the numbers can be had.
   * @param ops by id
   */
  asksForExact(ops: readonly OpPlacement[]): boolean {
    const places = ops.length * this.bytes.length;
    if (places <= FEW_PLACES || places > MAX_PLACES) return places <= FEW_PLACES;
    return this.most(ops).some((bytes, device) => bytes > this.#capacity[device]!);
  }

  /** What no device can need more than, whatever the order of its tasks. @param ops by id */
  most(ops: readonly OpPlacement[]): Float64Array {
    const most = this.bytes.slice();
    ops.forEach(({ geometry, devices }, op) => {
      const beside = this.#besideBytes(op, geometry);
      devices.forEach((device, part) => (most[device]! += beside[part]!));
    });
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
      this.bytes[device]! += sign * partMemoryBytes(0, readBytes[part]!);
    }
  }

  countParameter({ geometry, holders, shardOfUpdate }: ParameterState, sign: 1 | -1): void {
    for (let update = 0; update < holders.length; update++) {
      const bytes = geometry.bytes[shardOfUpdate[update]!]!;
      this.bytes[holders[update]!]! += sign * shardMemoryBytes(bytes, this.#optimizer, this.#accumulationSteps);
    }
  }

  /** By part, what may be there beside what is counted: saved values, statistics, and twice all that it reads. */
  #besideBytes(op: number, geometry: OpGeometry): Float64Array {
    const savedShare = opNeeds(this.#graph).savedShare[op]!;
    const { groupOf, groups, outputBytes, inputs } = geometry;
    return outputBytes.map((bytes, part) => {
      const group = groupOf[part]!;
      const told = geometry.forwardStatisticsBytes[group]! + geometry.backwardStatisticsBytes[group]!;
      const read = inputs.reduce((sum, boxes) => sum + boxVolume(boxes, part) * BYTES_PER_ELEMENT, 0);
      return savedShare * bytes + (1 + groups[group]!.length) * told + 2 * read;
    });
  }

  #partBytes(op: number, geometry: OpGeometry): Float64Array {
    let bytes = this.#ofParts.get(geometry);
    if (bytes === undefined) {
      const { inputs } = this.#graph.ops[op]!;
      bytes = Float64Array.from({ length: geometry.parts }, (_, part) => {
        let inputBytes = 0;
        inputs.forEach((tensor, input) => {
          if (this.#graph.tensors[tensor]!.role !== 'input') return;
          inputBytes += boxVolume(geometry.inputs[input]!, part) * BYTES_PER_ELEMENT;
        });
        return partMemoryBytes(geometry.outputBytes[part]!, inputBytes);
      });
      this.#ofParts.set(geometry, bytes);
    }
    return bytes;
  }
}

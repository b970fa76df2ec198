import type { Cluster } from '../../cluster/cluster.ts';
import type { Graph } from '../../graph/graph.ts';
import type { OptimizerName } from '../../job/training-job.ts';
import type { EdgeGeometry } from '../../tasks/geometry/edge-geometry.ts';
import { boxVolume } from '../../tasks/geometry/boxes.ts';
import type { OpGeometry } from '../../tasks/geometry/op-geometry.ts';
import { partMemoryBytes, shardMemoryBytes } from '../../tasks/memory.ts';
import { BYTES_PER_ELEMENT } from '../../tasks/work.ts';
import type { OpPlacement, ParameterState } from './states.ts';

/** Memory that each device needs, kept while states come and go: the numbers of `deviceMemoryBytes`. */
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

  /** What the devices need beyond what they have, in all. */
  get missingBytes(): number {
    let missing = 0;
    for (let device = 0; device < this.bytes.length; device++) {
      missing += Math.max(0, this.bytes[device]! - this.#capacity[device]!);
    }
    return missing;
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

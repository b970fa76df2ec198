import type { StatisticsGroup } from '../../soap/tasks/layout.ts';
import type { GatherTask } from '../../soap/tasks/task-graph.ts';
import type { KernelEngine, TensorBuffer } from '../kernels/kernels.ts';
import type { Transport } from '../transport/transport.ts';
import { floats } from './assembly.ts';

export interface GatheringOptions {
  readonly engine: KernelEngine;
  readonly device: number;
  readonly group: StatisticsGroup;
  /** Floats of one part's statistics. */
  readonly size: number;
  /** Undefined where the whole group is on this device. */
  readonly task: GatherTask | undefined;
}

/** The statistics of a group of parts, as a device with at least one of them sees them. */
export class Gathering {
  /** [parts, floats], parts in the order of the group: the same bits on every device. */
  readonly memory: TensorBuffer;
  readonly #options: GatheringOptions;
  readonly #rows: ReadonlyMap<number, number>;
  #filled: { readonly pass: number; readonly done: Promise<void> } | undefined;

  constructor(options: GatheringOptions) {
    const { engine, group, size } = options;
    this.#options = options;
    this.#rows = new Map(group.map(({ index }, row) => [index, row]));
    this.memory = engine.allocate('float32', group.length * size);
  }

  /** Takes in what a part of this device hands out and sends it to the other devices; `vector` is free when it resolves. */
  async share(part: number, vector: Float32Array, transport: Transport, pass: number): Promise<void> {
    this.#put(part, vector);
    const { task, device } = this.#options;
    const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
    const others = task?.devices.filter((other) => other !== device) ?? [];
    await Promise.all(others.map((other) => transport.send(other, tagOf(task!, pass, part), bytes)));
  }

  /**
   * Completes the host's side of the memory for this pass, once all parts of this device have shared; waits for messages of the
   * others.
   */
  fill(transport: Transport, pass: number): Promise<void> {
    if (this.#filled?.pass !== pass) this.#filled = { pass, done: this.#receive(transport, pass) };
    return this.#filled.done;
  }

  async #receive(transport: Transport, pass: number): Promise<void> {
    const { group, device, task, size } = this.#options;
    for (const { index, device: peer } of group) {
      if (peer === device) continue;
      const bytes = await transport.receive(peer, tagOf(task!, pass, index), 4 * size);
      this.#put(index, new Float32Array(bytes.buffer, bytes.byteOffset, size));
    }
  }

  #put(part: number, vector: Float32Array): void {
    floats(this.memory.host).set(vector, this.#rows.get(part)! * this.#options.size);
  }
}

function tagOf({ id }: GatherTask, step: number, part: number): { step: number; task: number; round: number } {
  return { step, task: id, round: part };
}

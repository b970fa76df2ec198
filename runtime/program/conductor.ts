import type { TaskGraph } from '../../soap/tasks/task-graph.ts';
import type { Transport } from '../transport/transport.ts';
import type { ControlTasks } from './control-tasks.ts';
import { controlTasks } from './control-tasks.ts';
import type { PartialResult } from './evaluation.ts';

/** The device that gathers results, writes checkpoints and sets the pace. */
export const LEADER = 0;

/** Steps that a device may be ahead of the slowest; bounds what peers must buffer. */
const MAX_STEPS_AHEAD = 2;

const WORD_BYTES = 8;

/**
 * The messages between devices that are no tasks: results of each pass to the leader, and its word that all have come.
 */
export class Conductor {
  readonly #transport: Transport;
  readonly #devices: number;
  readonly #control: ControlTasks;
  readonly #passesDone: number[] = [];

  constructor(transport: Transport, tasks: TaskGraph) {
    this.#transport = transport;
    this.#devices = tasks.deviceCount;
    this.#control = controlTasks(tasks);
  }

  get isLeader(): boolean {
    return this.#transport.self === LEADER;
  }

  /**
   * Hands in this device's share of a result. The leader gets the sum over all devices, in their order.
   * The others get undefined at once.
   */
  async gather(pass: number, result: PartialResult): Promise<PartialResult | undefined> {
    const values = Float64Array.of(result.lossSum, result.lossCount, result.correct);
    this.#passesDone.push(pass);
    if (!this.isLeader) {
      await this.#transport.send(LEADER, this.#tag(pass, this.#control.result), new Uint8Array(values.buffer));
      return undefined;
    }
    for (const device of this.#others()) {
      const bytes = await this.#transport.receive(device, this.#tag(pass, this.#control.result), values.byteLength);
      const theirs = new Float64Array(bytes.buffer, bytes.byteOffset, values.length);
      for (let i = 0; i < values.length; i++) values[i]! += theirs[i]!;
    }
    for (const device of this.#others())
      await this.#transport.send(device, this.#tag(pass, this.#control.word), new Uint8Array(WORD_BYTES));
    return { lossSum: values[0]!, lossCount: values[1]!, correct: values[2]! };
  }

  /** Waits until every device is at most a few passes behind; with `all`, until every pass handed in is everyone's. */
  async keepPace(all: boolean = false): Promise<void> {
    if (this.isLeader) return;
    while (this.#passesDone.length > (all ? 0 : MAX_STEPS_AHEAD)) {
      const pass = this.#passesDone.shift()!;
      await this.#transport.receive(LEADER, this.#tag(pass, this.#control.word), WORD_BYTES);
    }
  }

  /** Sends a shard's values to the leader, for a checkpoint. */
  async handOver(pass: number, shard: number, values: readonly Float32Array[]): Promise<void> {
    for (const [round, { buffer, byteOffset, byteLength }] of values.entries()) {
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      await this.#transport.send(LEADER, { step: pass, task: this.#control.shard + shard, round }, bytes);
    }
  }

  /** So many values that a device handed over. */
  async takeOver(
    pass: number,
    device: number,
    { shard, round, elements }: { readonly shard: number; readonly round: number; readonly elements: number },
  ): Promise<Float32Array> {
    const tag = { step: pass, task: this.#control.shard + shard, round };
    const bytes = await this.#transport.receive(device, tag, Float32Array.BYTES_PER_ELEMENT * elements);
    return new Float32Array(bytes.buffer, bytes.byteOffset, elements);
  }

  *#others(): Generator<number> {
    for (let device = 0; device < this.#devices; device++) if (device !== LEADER) yield device;
  }

  #tag(step: number, task: number): { step: number; task: number; round: number } {
    return { step, task, round: 0 };
  }
}

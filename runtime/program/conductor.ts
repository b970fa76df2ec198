import type { TaskGraph } from '../../soap/tasks/task-graph.ts';
import type { MessageTag, Transport } from '../transport/transport.ts';
import type { ControlTasks } from './control-tasks.ts';
import { controlTasks } from './control-tasks.ts';
import type { PartialResult } from './evaluation.ts';

/** The device that gathers results, writes checkpoints and sets the pace. */
const LEADER = 0;

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

  /** Hands a text in. The leader gets those of all devices, in their order; the others get undefined at once. */
  async report(pass: number, text: string): Promise<string[] | undefined> {
    const tag = this.#tag(pass, this.#control.report);
    if (!this.isLeader) {
      await this.#sendText(LEADER, tag, text);
      return undefined;
    }
    const texts = [text];
    for (const device of this.#others()) texts.push(await this.#receiveText(device, tag));
    return texts;
  }

  /** Gives every other device a text. Only the leader has one. */
  async announce(pass: number, text: string): Promise<void> {
    for (const device of this.#others()) await this.#sendText(device, this.#tag(pass, this.#control.answer), text);
  }

  /** Waits for the leader's text. */
  hear(pass: number): Promise<string> {
    return this.#receiveText(LEADER, this.#tag(pass, this.#control.answer));
  }

  /** A text of any length: its length goes first. */
  async #sendText(peer: number, tag: MessageTag, text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    const length = Uint32Array.of(bytes.length);
    await this.#transport.send(peer, { ...tag, round: 0 }, new Uint8Array(length.buffer));
    await this.#transport.send(peer, { ...tag, round: 1 }, bytes);
  }

  async #receiveText(peer: number, tag: MessageTag): Promise<string> {
    const length = await this.#transport.receive(peer, { ...tag, round: 0 }, Uint32Array.BYTES_PER_ELEMENT);
    const [bytes] = new Uint32Array(length.buffer, length.byteOffset, 1);
    return new TextDecoder().decode(await this.#transport.receive(peer, { ...tag, round: 1 }, bytes!));
  }

  *#others(): Generator<number> {
    for (let device = 0; device < this.#devices; device++) if (device !== LEADER) yield device;
  }

  #tag(step: number, task: number): MessageTag {
    return { step, task, round: 0 };
  }
}

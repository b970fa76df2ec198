import type { TaskGraph } from '../../soap/tasks/task-graph.ts';
import type { MessageTag, Transport } from '../transport/transport.ts';
import type { ControlTasks } from '../wire/control-tasks.ts';
import { controlTasks } from '../wire/control-tasks.ts';
import type { PartialResult } from './evaluation.ts';

/** The device that gathers results, writes checkpoints and sets the pace. */
const LEADER = 0;

/**
 * Results without the leader's word that a device may have handed in when it goes on to the next; bounds what peers must buffer. A result is
 * of a training step or of a batch of an evaluation: so one device may be at the end of a step where another begins the step before.
 */
const MAX_RESULTS_AHEAD = 1;

/** The leader's word on a result: whether it is one of the last. */
const WORD_BYTES = 1;
const [GO_ON, STOP] = [0, 1];

/** The leader's answers to a question. */
const [YES, NO] = ['yes', 'no'];

/**
 * The messages between devices that are no tasks: results to the leader, each with the number of the last pass that it is of, and its word
 * that all have come. Each is asked for as soon as it is known to come: by when it does, this device may be many passes further.
 */
export class Conductor {
  readonly #transport: Transport;
  readonly #devices: number;
  readonly #control: ControlTasks;
  /** The words on results handed in, which may not have come yet. */
  readonly #words: Promise<Uint8Array>[] = [];
  #handedIn = 0;
  #stopRequested = false;
  /** How many results are handed in before all stop. */
  #stopAfter = Infinity;

  constructor(transport: Transport, tasks: TaskGraph) {
    this.#transport = transport;
    this.#devices = tasks.deviceCount;
    this.#control = controlTasks(tasks);
  }

  get isLeader(): boolean {
    return this.#transport.self === LEADER;
  }

  /**
   * Asks for an early end. It goes to the leader with the next result; the leader's word on that one lets every device stop
   * before the same later step, or batch of an evaluation, the first that none can have begun without that word.
   */
  requestStop(): void {
    this.#stopRequested = true;
  }

  /** Whether the next step, or batch of an evaluation, is not to begin. The same on every device, right after {@link keepPace}. */
  get stops(): boolean {
    return this.#handedIn >= this.#stopAfter;
  }

  /**
   * Hands in this device's share of a result. The leader gets the sum over all devices, in their order.
   * The others get undefined at once.
   * @param pass the last one that the result is of
   */
  async gather(pass: number, result: PartialResult): Promise<PartialResult | undefined> {
    const stop = this.#stopRequested ? STOP : GO_ON;
    const values = Float64Array.of(result.lossSum, result.lossCount, result.correct, stop);
    this.#handedIn += 1;
    const stopAfter = this.#handedIn + MAX_RESULTS_AHEAD;
    if (!this.isLeader) {
      this.#words.push(this.#wordOn(pass));
      await this.#transport.send(LEADER, this.#tag(pass, this.#control.result), new Uint8Array(values.buffer));
      return undefined;
    }
    const tag = this.#tag(pass, this.#control.result);
    const shares = Array.from(this.#others(), (device) => this.#transport.receive(device, tag, values.byteLength));
    for (const bytes of await Promise.all(shares)) {
      const theirs = new Float64Array(bytes.buffer, bytes.byteOffset, values.length);
      for (let i = 0; i < values.length; i++) values[i]! += theirs[i]!;
    }
    const [lossSum, lossCount, correct, stops] = values;
    if (stops! > 0) this.#stopAfter = Math.min(this.#stopAfter, stopAfter);
    const word = Uint8Array.of(stops! > 0 ? STOP : GO_ON);
    for (const device of this.#others()) await this.#transport.send(device, this.#tag(pass, this.#control.word), word);
    return { lossSum: lossSum!, lossCount: lossCount!, correct: correct! };
  }

  /** Waits until every device is at most one result behind; with `all`, until every result handed in is everyone's. */
  async keepPace(all: boolean = false): Promise<void> {
    while (this.#words.length > (all ? 0 : MAX_RESULTS_AHEAD)) {
      const [word] = await this.#words.shift()!;
      const heardOf = this.#handedIn - this.#words.length;
      if (word === STOP) this.#stopAfter = Math.min(this.#stopAfter, heardOf + MAX_RESULTS_AHEAD);
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

  /** What the leader knows, yes or no, on every device. @param known what it is on this device; only the leader's counts */
  async agree(pass: number, known: boolean): Promise<boolean> {
    if (!this.isLeader) return (await this.hear(pass)) === YES;
    await this.announce(pass, known ? YES : NO);
    return known;
  }

  #wordOn(pass: number): Promise<Uint8Array> {
    const word = this.#transport.receive(LEADER, this.#tag(pass, this.#control.word), WORD_BYTES);
    // A failure is seen by who keeps pace; until then it must not count as unhandled.
    word.catch(() => undefined);
    return word;
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

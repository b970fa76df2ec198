import type { ComputeTask, TaskGraph } from '../../soap/tasks/task-graph.ts';
import type { Transport } from '../transport/transport.ts';
import type { WireElements } from '../wire/elements.ts';
import { floats } from './assembly.ts';
import type { Outgoing } from './outgoing.ts';
import { packed } from './outgoing.ts';
import type { PassProgram } from './pass-program.ts';
import type { Recorder } from './recorder.ts';

/** What carries the messages of a device, and how. */
export interface SenderOptions {
  readonly tasks: TaskGraph;
  readonly transport: Transport;
  readonly elements: WireElements;
  readonly recorder?: Recorder | undefined;
}

/** Sends what tasks of other devices wait for, beside the kernels. */
export class Sender {
  readonly #options: SenderOptions;
  #sends: Promise<void>[] = [];

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Sends a region of a part's output, or of the gradient of its input. */
  transfer(message: Outgoing, pass: number): void {
    const { transport, elements } = this.#options;
    const { task } = message;
    const bytes = packed(message, elements);
    this.#send(transport.send(task.toDevice, { step: pass, task: task.id, round: 0 }, bytes), 'send', [task.id]);
  }

  /** Hands the statistics of a part to all others of its group. */
  statistics(task: ComputeTask, { gathering, vector }: NonNullable<PassProgram['statistics']>, pass: number): void {
    const { tasks, transport } = this.#options;
    const gathers = task.successors.filter((id) => tasks.tasks[id]!.kind === 'gather');
    const sent = gathering.share(task.part, floats(vector.host), transport, pass);
    this.#send(sent, gathers.length > 0 ? 'gather' : undefined, gathers);
  }

  /** When all is on its way, every buffer may be written again. Rejects where something could not be sent. */
  async settle(): Promise<void> {
    const sends = this.#sends;
    this.#sends = [];
    await Promise.all(sends);
  }

  /** @param kind what to record it as; undefined where it is not */
  #send(sent: Promise<void>, kind: 'send' | 'gather' | undefined, tasks: readonly number[]): void {
    const { recorder } = this.#options;
    const startMs = performance.now();
    const recorded =
      recorder === undefined || kind === undefined ? sent : sent.then(() => recorder.record(kind, tasks, startMs));
    // A failed send is seen at the end of the pass; until then it must not count as unhandled.
    recorded.catch(() => undefined);
    this.#sends.push(recorded);
  }
}

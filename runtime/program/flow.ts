import type { Layout, PlacedPart, StatisticsGroup } from '../../soap/tasks/layout.ts';
import type { Reader } from '../../soap/tasks/readers.ts';
import { Readers } from '../../soap/tasks/readers.ts';
import type { GatherTask, TaskGraph, TransferTask } from '../../soap/tasks/task-graph.ts';
import { taskKey, transferKey } from '../../soap/tasks/task-key.ts';

/** Answers who reads a part's outputs and which task carries what, for one task graph. */
export class Flow extends Readers {
  readonly #layout: Layout;
  /** Transfers and gathers by key. */
  readonly #transfers = new Map<number, TransferTask>();
  readonly #gathers = new Map<number, GatherTask>();

  constructor(layout: Layout, tasks: TaskGraph) {
    super(layout);
    this.#layout = layout;
    for (const task of tasks.tasks) {
      if (task.kind === 'transfer') this.#transfers.set(task.key, task);
      else if (task.kind === 'gather') this.#gathers.set(task.key, task);
    }
  }

  /** The transfer between two parts on different devices. */
  transfer(payload: 'activation' | 'gradient', { consumer, input }: Reader, producer: PlacedPart): TransferTask {
    const producers = this.#layout.parts[producer.op]!.length;
    const transfer = this.#transfers.get(transferKey(payload, consumer, input, producer.index, producers));
    if (transfer === undefined) throw new Error(`internal: no ${payload} transfer to op ${consumer.op} input ${input}`);
    return transfer;
  }

  /** How the statistics of a group get around; undefined where it is on one device. */
  gather(direction: 'forward' | 'backward', [first]: StatisticsGroup): GatherTask | undefined {
    return this.#gathers.get(taskKey(`${direction}Gather`, first!.op, first!.index));
  }
}

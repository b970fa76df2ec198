import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import { inputPieces } from '../../soap/tasks/layout.ts';
import type { Region } from '../../soap/strategy/region.ts';
import type { TaskGraph, TransferTask } from '../../soap/tasks/task-graph.ts';
import { taskKey } from '../../soap/tasks/task-key.ts';

/** A part that reads a box of another part's output. */
export interface Reader {
  readonly consumer: PlacedPart;
  readonly input: number;
  readonly region: Region;
}

/** Answers who reads a part's output and which transfer carries what, for one task graph. */
export class Flow {
  readonly #readers = new Map<PlacedPart, Reader[]>();
  readonly #transfers = new Map<number, TransferTask>();

  constructor(layout: Layout, tasks: TaskGraph) {
    for (const op of layout.graph.ops) {
      op.inputs.forEach((_, input) => {
        for (const consumer of layout.parts[op.id]!) this.#addReaders(layout, consumer, input);
      });
    }
    for (const task of tasks.tasks) if (task.kind === 'transfer') this.#transfers.set(task.key, task);
  }

  /** Readers of a part's output, by op, input, then part: the order in which gradients are summed. */
  readersOf(producer: PlacedPart): readonly Reader[] {
    return this.#readers.get(producer) ?? [];
  }

  /** The transfer between two parts on different devices. */
  transfer(payload: 'activation' | 'gradient', { consumer, input }: Reader, producer: PlacedPart): TransferTask {
    const transfer = this.#transfers.get(taskKey(payload, consumer.op, consumer.index, input, producer.index));
    if (transfer === undefined) throw new Error(`internal: no ${payload} transfer to op ${consumer.op} input ${input}`);
    return transfer;
  }

  #addReaders(layout: Layout, consumer: PlacedPart, input: number): void {
    for (const { producer, region } of inputPieces(layout, consumer, input)) {
      const readers = this.#readers.get(producer) ?? [];
      readers.push({ consumer, input, region });
      this.#readers.set(producer, readers);
    }
  }
}

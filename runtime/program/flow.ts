import type { Layout, PlacedPart, StatisticsGroup } from '../../soap/tasks/layout.ts';
import { inputPieces } from '../../soap/tasks/layout.ts';
import type { Region } from '../../soap/strategy/region.ts';
import type { GatherTask, TaskGraph, TransferTask } from '../../soap/tasks/task-graph.ts';
import { taskKey, transferKey } from '../../soap/tasks/task-key.ts';

/** A part that reads a box of another part's output. */
export interface Reader {
  readonly consumer: PlacedPart;
  readonly input: number;
  readonly region: Region;
}

/** Answers who reads a part's outputs and which task carries what, for one task graph. */
export class Flow {
  readonly #layout: Layout;
  /** By part, then output. */
  readonly #readers = new Map<PlacedPart, Reader[][]>();
  /** Transfers and gathers by key. */
  readonly #transfers = new Map<number, TransferTask>();
  readonly #gathers = new Map<number, GatherTask>();

  constructor(layout: Layout, tasks: TaskGraph) {
    this.#layout = layout;
    for (const part of layout.parts.flat()) {
      this.#readers.set(
        part,
        part.outputs.map(() => []),
      );
    }
    for (const op of layout.graph.ops) {
      op.inputs.forEach((_, input) => {
        for (const consumer of layout.parts[op.id]!) this.#addReaders(layout, consumer, input);
      });
    }
    for (const task of tasks.tasks) {
      if (task.kind === 'transfer') this.#transfers.set(task.key, task);
      else if (task.kind === 'gather') this.#gathers.set(task.key, task);
    }
  }

  /** Readers of a part's output, by op, input, then part: the order in which gradients are summed. */
  readersOf(producer: PlacedPart, output: number): readonly Reader[] {
    return this.#readers.get(producer)![output]!;
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

  #addReaders(layout: Layout, consumer: PlacedPart, input: number): void {
    const { output } = layout.producers[layout.graph.ops[consumer.op]!.inputs[input]!] ?? {};
    if (output === undefined) return;
    for (const { producer, region } of inputPieces(layout, consumer, input)) {
      this.#readers.get(producer)![output]!.push({ consumer, input, region });
    }
  }
}

import type { Graph } from '../../soap/graph/graph.ts';
import type { Dataset } from '../data/dataset.ts';
import type { KernelEngine, TensorMemory } from '../kernels/kernels.ts';
import type { DataInput } from './part-program.ts';

/** The rows of the data set that make up a batch, in order. */
export type Rows = readonly number[];

/**
 * Fills the data inputs of a device, reading ahead: while one batch trains, the next is read into a second set of buffers.
 * A device reads only the samples, and of them only the region, that its parts need.
 */
export class BatchLoader {
  readonly #engine: Pick<KernelEngine, 'upload'>;
  readonly #graph: Graph;
  readonly #dataset: Dataset;
  readonly #inputs: readonly DataInput[];
  readonly #staging: readonly TensorMemory[];
  #ahead: { rows: Rows; ready: Promise<void> } | undefined;

  constructor(graph: Graph, dataset: Dataset, inputs: readonly DataInput[], engine: Pick<KernelEngine, 'upload'>) {
    this.#engine = engine;
    this.#graph = graph;
    this.#dataset = dataset;
    this.#inputs = inputs;
    this.#staging = inputs.map(({ memory }) => memory.host.slice());
  }

  /** Fills the inputs with a batch, then starts to read the next one. */
  async load(rows: Rows, next?: Rows): Promise<void> {
    if (this.#ahead?.rows.join() !== rows.join()) {
      await this.#ahead?.ready;
      this.#ahead = this.#read(rows);
    }
    await this.#ahead?.ready;
    this.#inputs.forEach(({ memory }, i) => copyWhole(this.#staging[i]!, memory.host));
    await this.#engine.upload(this.#inputs.map(({ memory }) => memory));
    this.#ahead = next === undefined ? undefined : this.#read(next);
  }

  #read(rows: Rows): { rows: Rows; ready: Promise<void> } {
    const reads = this.#inputs.map(async ({ tensor, frame }, i) => {
      const [start, end] = frame[0]!;
      const { name } = this.#graph.tensors[tensor]!;
      await this.#dataset.read(name, rows.slice(start, end), frame.slice(1), this.#staging[i]!);
    });
    const ready = Promise.all(reads).then(() => undefined);
    // A failed read is seen when the batch is loaded; until then it must not count as unhandled.
    ready.catch(() => undefined);
    return { rows, ready };
  }
}

function copyWhole(source: TensorMemory, target: TensorMemory): void {
  new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(
    new Uint8Array(source.buffer, source.byteOffset, source.byteLength),
  );
}

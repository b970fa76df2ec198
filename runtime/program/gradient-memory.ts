import type { SharedGradients } from '../collectives/shared-gradients.ts';
import { termOrder } from '../collectives/term-order.ts';
import { regionVolume } from '../../soap/region/region.ts';
import { gradientSources } from '../../soap/tasks/gradient-sources.ts';
import type { GradientTerm } from '../../soap/tasks/gradient-terms.ts';
import { gradientTerms } from '../../soap/tasks/gradient-terms.ts';
import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import type { ParameterShard } from '../../soap/tasks/task-graph.ts';
import type { KernelEngine, TensorBuffer } from '../kernels/kernels.ts';

/** Elements of a shard, and the buffers of the whole shard whose sum there, in this order, is the gradient. */
export interface TermRun {
  readonly start: number;
  readonly end: number;
  readonly terms: readonly TensorBuffer[];
}

export interface GradientMemoryOptions {
  readonly layout: Layout;
  readonly device: number;
  readonly engine: KernelEngine;
  /** Gradients that other devices read where they lie. */
  readonly shared: SharedGradients | undefined;
  /** See `backwardPlaces`. */
  readonly places: ReadonlyMap<PlacedPart, number>;
}

/** A shard's gradient on a device: memory to which terms are added as they come. */
export interface ShardGradient {
  readonly memory: TensorBuffer;
  /** In the order in which they come. */
  readonly terms: readonly GradientTerm[];
  /** What makes up the gradient of the whole batch, once every device's is complete. */
  readonly runs: readonly TermRun[];
}

/** The memory of a device's gradients of parameters; some lie where other devices read them. */
export class GradientMemory {
  readonly #options: GradientMemoryOptions;
  readonly #ofShard = new Map<number, ShardGradient>();
  /** By part, then input. */
  readonly #places = new Map<PlacedPart, Map<number, TensorBuffer>>();

  constructor(options: GradientMemoryOptions) {
    this.#options = options;
    const { layout, device } = options;
    for (const shard of layout.shards) if (shard.isTrained && shard.devices.includes(device)) this.#add(shard);
  }

  ofShard(shard: number): ShardGradient {
    return this.#ofShard.get(shard)!;
  }

  /** Where the gradient of an input is to be, as it is the first term of a shard's and no more; undefined where any memory will do. */
  ofInput(part: PlacedPart, input: number): TensorBuffer | undefined {
    return this.#places.get(part)?.get(input);
  }

  #add(shard: ParameterShard): void {
    const { layout, device, engine, places } = this.#options;
    const readers = new Set(gradientSources(layout, shard.tensor, shard.region));
    const local = [...readers].filter((part) => part.device === device);
    const terms = gradientTerms(layout.graph, shard, local, places);
    const read = this.#readByOthers(shard.id);
    const memory = read?.memory ?? engine.allocate('float32', regionVolume(shard.region));
    const runs = read?.runs ?? [{ start: 0, end: memory.length, terms: [memory] }];
    this.#ofShard.set(shard.id, { memory, terms, runs });
    const [first] = terms;
    if (first?.isWhole !== true) return;
    const inputs = this.#places.get(first.part) ?? new Map<number, TensorBuffer>();
    this.#places.set(first.part, inputs.set(first.input, memory));
  }

  /** The memory of a gradient that other devices read, as this one reads theirs; undefined where they are sent. */
  #readByOthers(shard: number): Omit<ShardGradient, 'terms'> | undefined {
    const { device, engine, shared } = this.#options;
    const { collective, terms } = shared?.shard(shard) ?? {};
    if (collective === undefined || terms === undefined || engine.adopt === undefined) return undefined;
    const buffers = new Map([...terms].map(([each, memory]) => [each, engine.adopt!(memory, 'float32')]));
    const memory = buffers.get(device)!;
    const runs = termOrder(collective, memory.length).map(({ order, ...run }) => ({
      ...run,
      terms: order.map((each) => buffers.get(each)!),
    }));
    return { memory, runs };
  }
}

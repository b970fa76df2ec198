import type { Boxed, Region } from '../../soap/region/region.ts';
import { intersect, regionVolume, sameRegion, wholeRegion } from '../../soap/region/region.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import type { ParameterShard } from '../../soap/tasks/task-graph.ts';
import type { KernelEngine, TensorBuffer } from '../kernels/kernels.ts';
import { copyRegion, onHost } from '../kernels/regions.ts';

/** One shard on this device: its values and the optimizer's state. */
export interface ShardState {
  readonly shard: ParameterShard;
  readonly weight: TensorBuffer;
  /** In the order of {@link ParameterStore.stateNames}; empty where the parameter is frozen. */
  readonly optimizer: readonly TensorBuffer[];
}

/** A reader's box that no single shard equals; filled again after each update. */
interface View extends Boxed<TensorBuffer> {
  readonly tensor: number;
}

/** The parameter shards of one device. */
export class ParameterStore {
  /** What the optimizer keeps of each parameter that is trained. */
  readonly stateNames: readonly string[];
  readonly #engine: KernelEngine;
  readonly #states = new Map<number, ShardState>();
  readonly #views: View[] = [];
  #ready: Promise<void> | undefined;

  /** Takes the device's boxes out of the whole initial weights, by tensor name. */
  constructor(
    engine: KernelEngine,
    layout: Layout,
    device: number,
    weights: ReadonlyMap<string, Float32Array>,
    stateNames: readonly string[],
  ) {
    this.#engine = engine;
    this.stateNames = stateNames;
    for (const shard of layout.shards) {
      if (!shard.devices.includes(device)) continue;
      const { name, shape } = layout.graph.tensors[shard.tensor]!;
      const memory = weights.get(name);
      if (memory === undefined) throw new Error(`the model has no initial values for parameter '${name}'`);
      const elements = regionVolume(shard.region);
      const weight = engine.allocate('float32', elements);
      copyRegion({ memory, frame: wholeRegion(shape) }, onHost({ memory: weight, frame: shard.region }), shard.region);
      const optimizer = (shard.isTrained ? stateNames : []).map(() => engine.allocate('float32', elements));
      this.#states.set(shard.id, { shard, weight, optimizer });
    }
  }

  get states(): Iterable<ShardState> {
    return this.#states.values();
  }

  state(shard: number): ShardState {
    return this.#states.get(shard)!;
  }

  /** Memory that holds a box of a parameter's present values, from {@link ready} on. */
  view(tensor: number, frame: Region): Boxed<TensorBuffer> {
    for (const { shard, weight } of this.#states.values()) {
      if (shard.tensor === tensor && sameRegion(shard.region, frame)) return { memory: weight, frame };
    }
    const view = { tensor, frame, memory: this.#engine.allocate('float32', regionVolume(frame)) };
    this.#views.push(view);
    return view;
  }

  /** Resolves when kernels have the initial values. */
  ready(): Promise<void> {
    return (this.#ready ??= this.upload());
  }

  /** Gives kernels the values that the host's side of weights and optimizer state holds. */
  upload(): Promise<void> {
    for (const view of this.#views) for (const state of this.#states.values()) this.#refreshView(view, state);
    this.#ready = this.#engine.upload([...this.#buffers(), ...this.#views.map(({ memory }) => memory)]);
    return this.#ready;
  }

  /** Brings weights and optimizer state to the host. */
  async download(): Promise<void> {
    await this.ready();
    await this.#engine.download([...this.#buffers()]);
  }

  /** Brings every view up to date with a shard that a kernel has just written. Resolves at once where there is none. */
  async refresh(shard: number): Promise<void> {
    const state = this.state(shard);
    const views = this.#views.filter(({ tensor }) => tensor === state.shard.tensor);
    if (views.length === 0) return;
    await this.#engine.download([state.weight]);
    for (const view of views) this.#refreshView(view, state);
    await this.#engine.upload(views.map(({ memory }) => memory));
  }

  *#buffers(): Generator<TensorBuffer> {
    for (const { weight, optimizer } of this.states) yield* [weight, ...optimizer];
  }

  #refreshView(view: View, { shard, weight }: ShardState): void {
    if (shard.tensor !== view.tensor) return;
    const common = intersect(shard.region, view.frame);
    if (common !== undefined) copyRegion(onHost({ memory: weight, frame: shard.region }), onHost(view), common);
  }
}

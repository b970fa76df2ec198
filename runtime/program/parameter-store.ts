import type { Region } from '../../soap/strategy/region.ts';
import { intersect, regionVolume, sameRegion, wholeRegion } from '../../soap/strategy/region.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import type { ParameterShard } from '../../soap/tasks/task-graph.ts';
import type { KernelEngine } from '../kernels/kernels.ts';
import { floats } from './assembly.ts';
import type { Boxed } from './regions.ts';
import { copyRegion } from './regions.ts';

/** One shard on this device: its values and the optimizer's state. */
export interface ShardState {
  readonly shard: ParameterShard;
  readonly weight: Float32Array;
  /** In the order of {@link ParameterStore.stateNames}. */
  readonly optimizer: readonly Float32Array[];
}

/** A reader's box that no single shard equals; filled again after each update. */
interface View extends Boxed<Float32Array> {
  readonly tensor: number;
}

/** The parameter shards of one device. */
export class ParameterStore {
  /** What the optimizer keeps of each parameter. */
  readonly stateNames: readonly string[];
  readonly #engine: KernelEngine;
  readonly #states = new Map<number, ShardState>();
  readonly #views: View[] = [];

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
      const weight = floats(engine.allocate('float32', elements));
      copyRegion({ memory, frame: wholeRegion(shape) }, { memory: weight, frame: shard.region }, shard.region);
      const optimizer = stateNames.map(() => floats(engine.allocate('float32', elements)));
      this.#states.set(shard.id, { shard, weight, optimizer });
    }
  }

  get states(): Iterable<ShardState> {
    return this.#states.values();
  }

  state(shard: number): ShardState {
    return this.#states.get(shard)!;
  }

  /** Memory that always holds a box of a parameter's present values. */
  view(tensor: number, frame: Region): Boxed<Float32Array> {
    for (const { shard, weight } of this.#states.values()) {
      if (shard.tensor === tensor && sameRegion(shard.region, frame)) return { memory: weight, frame };
    }
    const view = { tensor, frame, memory: floats(this.#engine.allocate('float32', regionVolume(frame))) };
    this.#views.push(view);
    for (const state of this.#states.values()) this.#refreshView(view, state);
    return view;
  }

  /** Brings every view up to date with a shard that was just written. */
  refresh(shard: number): void {
    const state = this.state(shard);
    for (const view of this.#views) this.#refreshView(view, state);
  }

  #refreshView(view: View, { shard, weight }: ShardState): void {
    if (shard.tensor !== view.tensor) return;
    const common = intersect(shard.region, view.frame);
    if (common !== undefined) copyRegion({ memory: weight, frame: shard.region }, view, common);
  }
}

import { gradientSources } from '../gradient-sources.ts';
import type { Layout, PlacedPart } from '../layout.ts';
import { holdsPartialSums } from '../layout.ts';
import { Readers } from '../readers.ts';
import type { ParameterShard } from '../task-graph.ts';

/** What the values of every device are made from, looked up once for all of them. */
export class Lookups extends Readers {
  readonly #isPartial: readonly boolean[];
  readonly #ofShard: readonly ReadonlyMap<number, PlacedPart[]>[];
  readonly #shardsOf: ReadonlyMap<number, ParameterShard[]>;

  constructor(layout: Layout) {
    super(layout);
    this.#isPartial = layout.graph.ops.map((op) => holdsPartialSums(layout, op));
    this.#ofShard = layout.shards.map(({ tensor, region }) =>
      Map.groupBy(new Set(gradientSources(layout, tensor, region)), ({ device }) => device),
    );
    this.#shardsOf = Map.groupBy(layout.shards, ({ tensor }) => tensor);
  }

  /** See `holdsPartialSums`. */
  isPartial(op: number): boolean {
    return this.#isPartial[op]!;
  }

  /** The parts of a device that contribute to the gradient of a shard. */
  ofShard(shard: number, device: number): readonly PlacedPart[] {
    return this.#ofShard[shard]!.get(device) ?? [];
  }

  /** The shards of a parameter. */
  shardsOf(tensor: number): readonly ParameterShard[] {
    return this.#shardsOf.get(tensor) ?? [];
  }
}

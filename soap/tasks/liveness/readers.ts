import type { Region } from '../../strategy/region.ts';
import { gradientSources } from '../gradient-sources.ts';
import type { Layout, Piece, PlacedPart } from '../layout.ts';
import { holdsPartialSums, inputPieces } from '../layout.ts';
import type { ParameterShard } from '../task-graph.ts';

/** A part that reads a box of another part's output. */
export interface Reader {
  readonly consumer: PlacedPart;
  readonly input: number;
  readonly region: Region;
}

/** Who reads what in a layout, looked up once for all devices. */
export class Readers {
  readonly #ofOutput = new Map<PlacedPart, Reader[][]>();
  readonly #pieces = new Map<PlacedPart, Piece[][]>();
  readonly #isPartial: readonly boolean[];
  readonly #ofShard: readonly ReadonlyMap<number, PlacedPart[]>[];
  readonly #shardsOf: ReadonlyMap<number, ParameterShard[]>;

  constructor(layout: Layout) {
    for (const part of layout.parts.flat()) {
      this.#ofOutput.set(
        part,
        part.outputs.map(() => []),
      );
      this.#pieces.set(
        part,
        part.inputs.map((_, input) => inputPieces(layout, part, input)),
      );
    }
    for (const { id, inputs } of layout.graph.ops) {
      inputs.forEach((tensor, input) => {
        const output = layout.producers[tensor]?.output;
        if (output === undefined) return;
        for (const consumer of layout.parts[id]!) {
          for (const { producer, region } of this.pieces(consumer, input)) {
            this.#ofOutput.get(producer)![output]!.push({ consumer, input, region });
          }
        }
      });
    }
    this.#isPartial = layout.graph.ops.map((op) => holdsPartialSums(layout, op));
    this.#ofShard = layout.shards.map(({ tensor, region }) =>
      Map.groupBy(new Set(gradientSources(layout, tensor, region)), ({ device }) => device),
    );
    this.#shardsOf = Map.groupBy(layout.shards, ({ tensor }) => tensor);
  }

  /** See `inputPieces`. */
  pieces(consumer: PlacedPart, input: number): readonly Piece[] {
    return this.#pieces.get(consumer)![input]!;
  }

  /** Readers of a part's output, by op, input, then part. */
  ofOutput(producer: PlacedPart, output: number): readonly Reader[] {
    return this.#ofOutput.get(producer)![output]!;
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

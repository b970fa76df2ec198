import type { Region } from '../../strategy/region.ts';
import { gradientSources } from '../build.ts';
import type { Layout, PlacedPart } from '../layout.ts';
import { inputPieces } from '../layout.ts';

/** A part that reads a box of another part's output. */
export interface Reader {
  readonly consumer: PlacedPart;
  readonly input: number;
  readonly region: Region;
}

/** Who reads what in a layout, looked up once for all devices. */
export class Readers {
  readonly #ofPart = new Map<PlacedPart, Reader[][]>();
  readonly #ofShard: readonly (readonly PlacedPart[])[];

  constructor(layout: Layout) {
    for (const part of layout.parts.flat())
      this.#ofPart.set(
        part,
        part.outputs.map(() => []),
      );
    for (const { id, inputs } of layout.graph.ops) {
      inputs.forEach((tensor, input) => {
        const output = layout.producers[tensor]?.output;
        if (output === undefined) return;
        for (const consumer of layout.parts[id]!) {
          for (const { producer, region } of inputPieces(layout, consumer, input)) {
            this.#ofPart.get(producer)![output]!.push({ consumer, input, region });
          }
        }
      });
    }
    this.#ofShard = layout.shards.map(({ tensor, region }) => gradientSources(layout, tensor, region));
  }

  /** Readers of a part's output, by op, input, then part. */
  ofOutput(producer: PlacedPart, output: number): readonly Reader[] {
    return this.#ofPart.get(producer)![output]!;
  }

  /** The parts of a device that contribute to the gradient of a shard. */
  ofShard(shard: number, device: number): PlacedPart[] {
    return [...new Set(this.#ofShard[shard]!.filter((part) => part.device === device))];
  }
}

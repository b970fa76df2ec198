import type { Region } from '../region/region.ts';
import type { Layout, Piece, PlacedPart } from './layout.ts';
import { givesGradient, hasBackward, inputPieces } from './layout.ts';

/** A part that reads a box of another part's output. */
export interface Reader {
  readonly consumer: PlacedPart;
  readonly input: number;
  readonly region: Region;
}

/** Who reads what in a layout, looked up once: what runs and what plans its memory both ask here, so that they agree in every order. */
export class Readers {
  readonly #layout: Layout;
  /** By part, then output. */
  readonly #ofOutput = new Map<PlacedPart, Reader[][]>();
  /** By part, then input. */
  readonly #pieces = new Map<PlacedPart, Piece[][]>();

  constructor(layout: Layout) {
    this.#layout = layout;
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
        for (const consumer of layout.parts[id]!) this.#addReads(consumer, input, output);
      });
    }
  }

  /** See `inputPieces`. */
  pieces(consumer: PlacedPart, input: number): readonly Piece[] {
    return this.#pieces.get(consumer)![input]!;
  }

  /** Readers of a part's output, by op, input, then part. */
  ofOutput(producer: PlacedPart, output: number): readonly Reader[] {
    return this.#ofOutput.get(producer)![output]!;
  }

  /** Those readers that give a gradient back, in the order in which their gradients are summed. */
  giversOf(producer: PlacedPart, output: number): readonly Reader[] {
    return this.ofOutput(producer, output).filter(({ consumer, input }) =>
      givesGradient(this.#layout, consumer.op, input),
    );
  }

  /** Readers of an output on other devices: each is sent a message when the forward pass of the part is through. */
  activationsSent(producer: PlacedPart, output: number): readonly Reader[] {
    return this.ofOutput(producer, output).filter(({ consumer }) => consumer.device !== producer.device);
  }

  /** Pieces of an input whose gradient goes to another device, in a message each, when the backward pass of the part is through. */
  gradientsSent(consumer: PlacedPart, input: number): readonly Piece[] {
    return this.pieces(consumer, input).filter(
      ({ producer }) => producer.device !== consumer.device && hasBackward(this.#layout, producer),
    );
  }

  #addReads(consumer: PlacedPart, input: number, output: number): void {
    for (const { producer, region } of this.pieces(consumer, input)) {
      this.#ofOutput.get(producer)![output]!.push({ consumer, input, region });
    }
  }
}

import type { Attributes, DType, Graph, Op, Shape } from '../../soap/graph/graph.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { Random } from '../../soap/random.ts';
import { createRandom } from '../../soap/random.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** An input of an op under test. */
export interface OpInput {
  readonly shape: Shape;
  /** Parameters and activations are float32 and get a gradient; `data` is fed and gets none. */
  readonly role?: 'activation' | 'parameter' | 'data';
  /** float32 unless said; int64 inputs get no gradient. */
  readonly dtype?: DType;
  /** The elements, or how to draw each; standard normal unless said. */
  readonly values?: readonly number[] | ((random: Random) => number);
}

/** An op, small enough to be run whole and in every split many times. */
export interface OpCase {
  readonly kind: string;
  /** What tells the case from others of its kind; completes the sentence "kind ...". */
  readonly does?: string;
  readonly attributes?: Attributes;
  readonly inputs: readonly OpInput[];
  /** The dimensions it can be split along, all of them. */
  readonly dimensions: readonly string[];
  /** Which elements of the first output an op keeps that drops some, row-major: 1 or 0. */
  readonly mask?: readonly number[];
  /** What the first output must be, by a formula of its own; values are row-major. */
  readonly expected?: (...inputs: readonly (readonly number[])[]) => readonly number[];
}

/** A case as a graph of one op, with its values. */
export interface BuiltCase {
  readonly graph: Graph;
  readonly op: Op;
  /** By input, row-major. */
  readonly inputs: readonly (readonly number[])[];
  /** By input, whether it has a gradient. */
  readonly wants: readonly boolean[];
  readonly mask?: readonly number[];
  /** By output, the gradient that the rest of a model would hand back, row-major. */
  readonly gradOutputs: readonly (readonly number[])[];
}

/** A title that is unique where `does` tells the cases of a kind apart. */
export function titleOf({ kind, does }: OpCase): string {
  return does === undefined ? kind : `${kind} ${does}`;
}

/** Builds the graph and draws the values; the same on every call. */
export function buildCase({ kind, attributes = {}, inputs, mask }: OpCase): BuiltCase {
  const random = createRandom(1);
  const builder = new GraphBuilder();
  const ids = inputs.map(({ shape, role, dtype }, i) =>
    role === 'parameter' ? builder.parameter(`p${i}`, shape) : builder.input(`x${i}`, shape, dtype),
  );
  const output = builder.op(kind, 'op', ids, attributes);
  const graph = builder.build('case', [output]);
  const op = graph.ops[0]!;
  return {
    graph,
    op,
    inputs: inputs.map(({ shape, values }) => drawn(shape, values, random)),
    wants: inputs.map(({ role, dtype }) => role !== 'data' && dtype !== 'int64'),
    ...(mask === undefined ? {} : { mask }),
    // Losses read no gradient of their output: what they hand back is that of `scale` times the sum of the first.
    gradOutputs: op.outputs.map((id, index) => {
      const { shape } = graph.tensors[id]!;
      const { scale } = attributes;
      if (typeof scale === 'number') return drawn(shape, () => (index === 0 ? scale : 0), random);
      return drawn(shape, undefined, random);
    }),
  };
}

function drawn(shape: Shape, values: OpInput['values'], random: Random): readonly number[] {
  if (typeof values === 'object') return values;
  return Array.from({ length: elementCount(shape) }, () => (values === undefined ? random.normal() : values(random)));
}

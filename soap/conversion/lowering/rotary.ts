import { broadcastShape } from '../../onnx/indexing.ts';
import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { intAttribute } from '../../ops/unary.ts';
import type { Shape } from '../../graph/graph.ts';
import type { NodeWriter } from './writer.ts';
import { nodeWriter } from './writer.ts';

const [X, COS, SIN, POSITIONS] = [0, 1, 2, 3];

/** What a rotary embedding turns. */
interface Rotary {
  readonly heads: number;
  /** Of one head. */
  readonly width: number;
  /** How many elements of a head are turned: the first ones. */
  readonly turned: number;
  /** Whether heads are within the last axis, [N, T, heads * width], and not [N, heads, T, width]. */
  readonly isJoined: boolean;
  /** Whether the two elements of a pair are beside each other, and not half of what is turned apart. */
  readonly isInterleaved: boolean;
}

/**
 * A RotaryEmbedding: (a cos - b sin, a sin + b cos) of each pair of elements of a head, by the angle of its step, as slices, products and
 * a Concat. Cosines and sines are given for each step, or as tables whose rows are taken by position; such tables are never trained.
 * Source: Su et al., "RoFormer", 2021, section 3.2; https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html
 * @throws {OpError} for shapes that do not fit
 */
export function rotaryAsProducts(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const rotary = rotaryOf(node, context);
  const { heads, width, turned, isJoined } = rotary;
  const writer = nodeWriter(node);
  const x = node.inputs[X]!;
  const byHead = isJoined ? writer.add('Reshape', [x, writer.integers([0, 0, heads, width])]) : x;
  const first = turned === width ? byHead : sliced(writer, byHead, 0, turned);
  const [cos, sin] = [COS, SIN].map((input) => angles(writer, node, input, rotary));
  const pairs = turnedPairs(writer, first, [cos!, sin!], rotary);
  const y = turned === width ? pairs : joined(writer, [pairs, sliced(writer, byHead, turned, width)]);
  if (isJoined) writer.add('Reshape', [y, writer.integers([0, 0, heads * width])]);
  return writer.finish();
}

function rotaryOf(node: OnnxNode, context: ImportContext): Rotary {
  const shape = context.shape(X);
  const isJoined = shape.length === 3;
  const heads = isJoined ? intAttribute(node, 'num_heads', 0) : shape[1]!;
  const width = isJoined ? shape[2]! / heads : shape[3]!;
  if ((!isJoined && shape.length !== 4) || !Number.isInteger(width)) {
    throw new OpError(
      `RotaryEmbedding has shape [${shape}] and ${heads} heads; expected [N, heads, T, width], or [N, T, heads * width] with num_heads`,
    );
  }
  const turned = intAttribute(node, 'rotary_embedding_dim', 0) || width;
  if (turned % 2 !== 0 || turned < 0 || turned > width) {
    throw new OpError(
      `RotaryEmbedding turns ${turned} of ${width} elements; expected an even number of at most ${width}`,
    );
  }
  const steps = isJoined ? shape[1]! : shape[2]!;
  requireAngles(node, context, [shape[0]!, steps, turned / 2]);
  return { heads, width, turned, isJoined, isInterleaved: intAttribute(node, 'interleaved', 0) !== 0 };
}

/** @throws {OpError} unless cosines and sines are of `wanted`, [N, T, pairs], or rows of so many pairs with positions [N, T] */
function requireAngles(node: OnnxNode, context: ImportContext, wanted: Shape): void {
  const positions = (node.inputs[POSITIONS] ?? '') === '' ? undefined : context.shape(POSITIONS);
  for (const input of [COS, SIN]) {
    const table = context.shape(input);
    const angles = positions === undefined ? table : [...positions, ...table.slice(1)];
    const isTable = positions === undefined || table.length === 2;
    if (isTable && angles.length === 3 && String(broadcastShape(angles, wanted)) === String(wanted)) continue;
    const what = positions === undefined ? '' : ` for positions of [${positions}]`;
    const expected =
      positions === undefined ? `[${wanted}]` : `[positions, ${wanted[2]}] for positions of [${wanted.slice(0, 2)}]`;
    throw new OpError(
      `RotaryEmbedding has ${input === COS ? 'cosines' : 'sines'} of shape [${table}]${what}; expected ${expected}`,
    );
  }
}

/** Cosines or sines of each pair, with an axis for the heads, and one for the elements of a pair that are beside each other. */
function angles(writer: NodeWriter, { inputs }: OnnxNode, input: number, { isJoined, isInterleaved }: Rotary): string {
  const [table, positions = ''] = [inputs[input]!, inputs[POSITIONS]];
  const rows = positions === '' ? table : writer.add('Gather', [table, positions]);
  const axis = isJoined ? 2 : 1;
  return writer.add('Unsqueeze', [rows, writer.integers(isInterleaved ? [axis, 4] : [axis])]);
}

/** The first element of all pairs and the second, turned, in the places that they came from. */
function turnedPairs(
  writer: NodeWriter,
  x: string,
  [cos, sin]: readonly [string, string],
  { turned, isInterleaved }: Rotary,
): string {
  const half = isInterleaved ? 1 : turned / 2;
  const pairs = isInterleaved ? writer.add('Reshape', [x, writer.integers([0, 0, 0, turned / 2, 2])]) : x;
  const [a, b] = [sliced(writer, pairs, 0, half), sliced(writer, pairs, half, 2 * half)];
  const real = writer.add('Sub', [writer.add('Mul', [a, cos]), writer.add('Mul', [b, sin])]);
  const imaginary = writer.add('Add', [writer.add('Mul', [a, sin]), writer.add('Mul', [b, cos])]);
  const result = joined(writer, [real, imaginary]);
  return isInterleaved ? writer.add('Reshape', [result, writer.integers([0, 0, 0, turned])]) : result;
}

/** Elements of the last axis. */
function sliced(writer: NodeWriter, value: string, start: number, end: number): string {
  return writer.add('Slice', [value, ...[[start], [end], [-1]].map((list) => writer.integers(list))]);
}

function joined(writer: NodeWriter, values: readonly string[]): string {
  return writer.add('Concat', values, { axis: { type: 'int', value: -1 } });
}

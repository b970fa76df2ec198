import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { floatAttribute, intAttribute } from '../../ops/unary.ts';
import type { Shape } from '../../graph/graph.ts';
import { scoreMask } from './attention-mask.ts';
import type { NodeWriter } from './writer.ts';
import { nodeWriter } from './writer.ts';

const [Q, K, V] = [0, 1, 2];

/** What keeps keys and values of earlier steps, which is for inference: by the position of the input, or of the result. */
const CACHES: Readonly<Record<'inputs' | 'outputs', readonly (readonly [at: number, name: string])[]>> = {
  inputs: [
    [4, 'past_key'],
    [5, 'past_value'],
    [6, 'nonpad_kv_seqlen'],
  ],
  outputs: [
    [1, 'present_key'],
    [2, 'present_value'],
  ],
};

/** The result that has the scores, or the probabilities. */
const SCORES_OUTPUT = 3;

const FLOAT32 = 1;

/** Extents of an attention. */
interface Extents {
  /** Heads of the queries, and of keys and values: each of these goes with `heads / keyHeads` of the queries'. */
  readonly heads: number;
  readonly keyHeads: number;
  /** Steps of the queries, and those that they look at. */
  readonly steps: number;
  readonly seen: number;
  /** Of one head, of queries and keys, and of values. */
  readonly width: number;
  readonly valueWidth: number;
  /** Whether heads are within the last axis, [N, T, heads * width], and not [N, heads, T, width]. */
  readonly isJoined: boolean;
}

/**
 * An Attention, as PyTorch's exporter writes torch.nn.functional.scaled_dot_product_attention from operator set 23 on, as two products
 * and a softmax between, over heads: so it splits as these do, and one without a mask, or a causal one, becomes the op `attention`.
 * Heads of keys and values that several of the queries' share are not repeated: products broadcast over them.
 * Source: https://onnx.ai/onnx/operators/onnx__Attention.html
 * @throws {OpError} for caches of keys and values, the scores as a result, and shapes that do not fit
 */
export function attentionAsProducts(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  requireTraining(node, context);
  const extents = extentsOf(node, context);
  const { heads, steps, seen, width, valueWidth } = extents;
  const writer = nodeWriter(node);
  const [q, k, v] = [Q, K, V].map((input) => byHead(writer, node.inputs[input]!, input, extents));
  // Queries are fewer than scores where there are more steps than a head is wide.
  const scaled = writer.add('Mul', [q!, writer.number(floatAttribute(node, 'scale', 1 / Math.sqrt(width)))]);
  const scores = product(writer, [scaled, k!], [steps, width, seen], extents);
  const mask = scoreMask(writer, node, context, [context.shape(Q)[0]!, heads, steps, seen]);
  const visible = mask.applied(capped(writer, scores, floatAttribute(node, 'softcap', 0)));
  const probabilities = mask.shown(writer.add('Softmax', [visible], { axis: { type: 'int', value: -1 } }));
  const y = product(writer, [probabilities, v!], [steps, seen, valueWidth], extents);
  if (extents.isJoined) {
    const turned = writer.add('Transpose', [y], { perm: { type: 'ints', value: [0, 2, 1, 3] } });
    writer.add('Reshape', [turned, writer.integers([0, 0, heads * valueWidth])]);
  }
  return writer.finish();
}

function requireTraining({ inputs, attributes }: OnnxNode, context: ImportContext): void {
  const [read] = CACHES.inputs.filter(([input]) => (inputs[input] ?? '') !== '');
  const [made] = CACHES.outputs.filter(([output]) => context.isRead(output));
  if (read !== undefined || made !== undefined) {
    throw new OpError(
      `Attention ${read === undefined ? `is asked for ${made![1]}` : `reads ${read[1]}`}, which keeps keys and values for inference; ` +
        'expected whole sequences: export the model without a cache (use_cache=False)',
    );
  }
  if (context.isRead(SCORES_OUTPUT)) {
    throw new OpError('Attention is asked for qk_matmul_output, its scores; expected its first result alone');
  }
  const precision = attributes['softmax_precision'];
  if (precision?.type === 'int' && precision.value !== FLOAT32) {
    throw new OpError(`Attention has softmax_precision ${precision.value}; expected ${FLOAT32}, float32`);
  }
}

function extentsOf(node: OnnxNode, context: ImportContext): Extents {
  const [q, k, v] = [Q, K, V].map((input) => context.shape(input));
  const shapes = `shapes [${q}], [${k}] and [${v}]`;
  const isJoined = q!.length === 3;
  if (![3, 4].includes(q!.length) || k!.length !== q!.length || v!.length !== q!.length) {
    throw new OpError(`Attention has inputs of ${shapes}; expected three of [N, heads, T, width] or [N, T, width]`);
  }
  const [heads, keyHeads] = isJoined
    ? [intAttribute(node, 'q_num_heads', 0), intAttribute(node, 'kv_num_heads', 0)]
    : [q![1]!, k![1]!];
  const [queries, keys, values] = isJoined ? [cut(q!, heads), cut(k!, keyHeads), cut(v!, keyHeads)] : [q!, k!, v!];
  if (!(heads >= 1) || !(keyHeads >= 1) || heads % keyHeads !== 0) {
    throw new OpError(`Attention has ${heads} heads of queries and ${keyHeads} of keys; expected a multiple of these`);
  }
  const fits =
    [...queries, ...keys, ...values].every(Number.isInteger) &&
    new Set([queries[0], keys[0], values[0]]).size === 1 &&
    queries[3] === keys[3] &&
    keys[1] === values[1] &&
    keys[2] === values[2];
  if (!fits) {
    throw new OpError(
      `Attention has inputs of ${shapes} with ${heads} and ${keyHeads} heads; expected equal samples, steps of keys and values, ` +
        'and widths of queries and keys that are multiples of their heads',
    );
  }
  const [steps, seen, width, valueWidth] = [queries[2]!, keys[2]!, queries[3]!, values[3]!];
  return { heads, keyHeads, steps, seen, width, valueWidth, isJoined };
}

/** [N, T, heads * width] as [N, heads, T, width]. */
function cut([samples, steps, width]: Shape, heads: number): number[] {
  return [samples!, heads, steps!, width! / heads];
}

/** A value as [N, heads, T, width], keys as [N, heads, width, T]. */
function byHead(writer: NodeWriter, value: string, input: number, extents: Extents): string {
  const { heads, keyHeads, width, valueWidth, isJoined } = extents;
  const perm = isJoined ? [0, 2, 1, 3] : [0, 1, 2, 3];
  const order = input === K ? [perm[0]!, perm[1]!, perm[3]!, perm[2]!] : perm;
  const shape = [0, 0, input === Q ? heads : keyHeads, input === V ? valueWidth : width];
  const apart = isJoined ? writer.add('Reshape', [value, writer.integers(shape)]) : value;
  return order.every((axis, i) => axis === i)
    ? apart
    : writer.add('Transpose', [apart], { perm: { type: 'ints', value: order } });
}

/**
 * The product of each head, [N, heads, rows, columns], of a value of the queries' heads and one of the keys'. Where these are fewer, those
 * of the queries that share one are an axis of their own meanwhile, over which the product broadcasts.
 */
function product(
  writer: NodeWriter,
  [a, b]: readonly [string, string],
  [rows, inner, columns]: readonly [number, number, number],
  { heads, keyHeads }: Extents,
): string {
  if (heads === keyHeads) return writer.add('MatMul', [a, b]);
  const left = writer.add('Reshape', [a, writer.integers([0, keyHeads, heads / keyHeads, rows, inner])]);
  const right = writer.add('Reshape', [b, writer.integers([0, keyHeads, 1, inner, columns])]);
  return writer.add('Reshape', [writer.add('MatMul', [left, right]), writer.integers([0, heads, rows, columns])]);
}

/** Scores within a bound on both sides: cap * tanh(scores / cap). Source: Gemma Team, "Gemma 2", 2024, section 2. */
function capped(writer: NodeWriter, scores: string, cap: number): string {
  if (!(cap > 0)) return scores;
  const share = writer.add('Tanh', [writer.add('Div', [scores, writer.number(cap)])]);
  return writer.add('Mul', [share, writer.number(cap)]);
}

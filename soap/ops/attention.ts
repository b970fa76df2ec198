import type { Attributes, Shape } from '../graph/graph.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape } from '../region/region.ts';
import type { Arithmetic } from './arithmetic.ts';
import { arithmetic } from './arithmetic.ts';
import type { Emitter, Value } from './emitter.ts';
import { float, int } from './emitter.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError } from './op.ts';

const [Q, K, V] = [0, 1, 2];
const [PROBABILITIES] = [0];
const HEADS = 2;

/** What masked scores get in exported files; its exponential is 0. Inside kernels they are -Infinity. */
const MASKED_SCORE = -1e9;

/**
 * Multi-head attention, softmax(q k^T / sqrt(W / heads)) v per head: q [N, T, W], k [N, S, W], v [N, S, Wv] -> [N, T, Wv]. A
 * `causal` one lets step t of q see steps 0 to t of k and v. Sample; sequence, that of q, and heads as attributes.
 * Source: Vaswani et al., "Attention is all you need", 2017, section 3.2.
 */
export const attention: OpDefinition = {
  kind: 'attention',
  onnxTypes: [],
  fromOnnx() {
    throw new OpError('internal: attention is recognized in a graph, not imported from a node');
  },
  outputShapes([q, k, v], attributes) {
    const heads = numberAttribute(attributes, 'heads');
    const shapes = `[${q}], [${k}] and [${v}]`;
    if (q?.length !== 3 || k?.length !== 3 || v?.length !== 3) {
      throw new OpError(`attention has inputs of shapes ${shapes}; expected [N, T, W], [N, S, W] and [N, S, W]`);
    }
    if (q[0] !== k[0] || k[0] !== v[0] || q[2] !== k[2] || k[1] !== v[1]) {
      throw new OpError(
        `attention has inputs of shapes ${shapes}; expected equal samples, steps of k and v, widths of q and k`,
      );
    }
    if (q[2]! % heads !== 0 || v[2]! % heads !== 0) {
      throw new OpError(`attention has ${heads} heads for widths ${q[2]} and ${v[2]}; expected a divisor of both`);
    }
    return [[q[0]!, q[1]!, v[2]!]];
  },
  dimensions: ({ outputs, attributes }): readonly Dimension[] => [
    { name: 'sample', kind: 'sample', size: outputs[0]![0]!, axis: 0 },
    { name: 'sequence', kind: 'attribute', size: outputs[0]![1]!, axis: 1 },
    { name: 'heads', kind: 'attribute', size: numberAttribute(attributes, 'heads'), axis: 2 },
  ],
  inputRegion({ inputs, attributes }, output, input, ranges): Region {
    const perHead = inputs[input]![2]! / numberAttribute(attributes, 'heads');
    const [start, end] = ranges[HEADS]!;
    const width: Interval = [start * perHead, end * perHead];
    if (input === Q) return [output[0]!, output[1]!, width];
    return [output[0]!, [0, seenSteps(attributes, inputs[input]!, output[1]!)], width];
  },
  forwardFlops: (part) => 2 * multiplyAdds(part),
  backwardFlops: (part) => 4 * multiplyAdds(part),
  forward(emit, part) {
    const math = arithmetic(emit);
    const [q, k, v] = [Q, K, V].map((input) => byHead(emit, emit.input(input), part));
    const scores = product(emit, q!, k!, { transB: true, alpha: scaleOf(part) });
    const visible = masked(emit, math, scores, part);
    const probabilities = emit.node('Softmax', [visible], visible.shape, { axis: int(-1) });
    emit.save(PROBABILITIES, probabilities);
    emit.setOutput(0, joined(emit, product(emit, probabilities, v!)));
  },
  backward(emit, part) {
    const math = arithmetic(emit);
    const probabilities = emit.saved(PROBABILITIES);
    const dy = byHead(emit, emit.gradOutput(0), part);
    if (emit.wantsGradInput(V)) emit.setGradInput(V, joined(emit, product(emit, probabilities, dy, { transA: true })));
    if (!emit.wantsGradInput(Q) && !emit.wantsGradInput(K)) return;
    const dProbabilities = product(emit, dy, byHead(emit, emit.input(V), part), { transB: true });
    const dScores = math.mul(probabilities, math.sub(dProbabilities, meanGradient(emit, math, part)));
    const alpha = scaleOf(part);
    if (emit.wantsGradInput(Q)) {
      emit.setGradInput(Q, joined(emit, product(emit, dScores, byHead(emit, emit.input(K), part), { alpha })));
    }
    if (emit.wantsGradInput(K)) {
      const dk = product(emit, dScores, byHead(emit, emit.input(Q), part), { transA: true, alpha });
      emit.setGradInput(K, joined(emit, dk));
    }
  },
  /** The nodes of attention written out, with 0 for the extents that a Reshape keeps. */
  toOnnx(emit, part) {
    const { attributes } = part.signature;
    const heads = numberAttribute(attributes, 'heads');
    const split = (input: number, perm: readonly number[]): Value => {
      const x = emit.input(input);
      const [samples, steps, width] = x.shape;
      const shape = emit.ints([0, 0, heads, width! / heads]);
      return emit.transpose(emit.node('Reshape', [x, shape], [samples!, steps!, heads, width! / heads]), perm);
    };
    const [q, k, v] = [split(Q, [0, 2, 1, 3]), split(K, [0, 2, 3, 1]), split(V, [0, 2, 1, 3])];
    const scores = emit.node('MatMul', [q, k], [...q.shape.slice(0, -1), k.shape.at(-1)!]);
    const scaled = emit.node('Mul', [scores, emit.scalar(scaleOf(part))], scores.shape);
    const visible =
      attributes['causal'] === true ? emit.node('Add', [scaled, maskNode(emit, scores)], scores.shape) : scaled;
    const probabilities = emit.node('Softmax', [visible], visible.shape, { axis: int(-1) });
    const y = emit.node('MatMul', [probabilities, v], [...q.shape.slice(0, -1), v.shape.at(-1)!]);
    const [samples, , steps, width] = y.shape;
    const shape = [samples!, steps!, heads * width!];
    const target = emit.ints([0, 0, heads * width!]);
    emit.setOutput(0, emit.node('Reshape', [emit.transpose(y, [0, 2, 1, 3]), target], shape));
  },
};

/**
 * The mean of each query's gradients of its probabilities, by these probabilities, [N, heads, T, 1]: also the sum of y dy over the width
 * of a head, which is far less to multiply. Source: Dao et al., "FlashAttention", 2022, appendix B.2.
 */
function meanGradient(emit: Emitter, math: Arithmetic, part: Part): Value {
  const weighted = math.mul(emit.output(0), emit.gradOutput(0));
  const [samples, steps, width] = weighted.shape;
  const heads = headsOf(part);
  const means = math.sumKept(emit.reshape(weighted, [samples!, steps!, heads, width! / heads]), [3]);
  return emit.transpose(means, [0, 2, 1, 3]);
}

/** Steps of k and v that an interval of q's steps sees. */
function seenSteps({ causal }: Attributes, k: Shape, [, end]: Interval): number {
  return causal === true ? Math.min(k[1]!, end) : k[1]!;
}

function scaleOf({ signature }: Part): number {
  return 1 / Math.sqrt(signature.inputs[Q]![2]! / numberAttribute(signature.attributes, 'heads'));
}

/** Heads of the part. */
function headsOf({ ranges }: Part): number {
  const [start, end] = ranges[HEADS]!;
  return end - start;
}

/** [N, T, heads * W] -> [N, heads, T, W]. */
function byHead(emit: Emitter, x: Value, part: Part): Value {
  const [samples, steps, width] = x.shape;
  const heads = headsOf(part);
  return emit.transpose(emit.reshape(x, [samples!, steps!, heads, width! / heads]), [0, 2, 1, 3]);
}

/** [N, heads, T, W] -> [N, T, heads * W]. */
function joined(emit: Emitter, x: Value): Value {
  const [samples, heads, steps, width] = x.shape;
  return emit.reshape(emit.transpose(x, [0, 2, 1, 3]), [samples!, steps!, heads! * width!]);
}

interface ProductOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
}

/** A product per sample and head. */
function product(
  emit: Emitter,
  a: Value,
  b: Value,
  { transA = false, transB = false, alpha = 1 }: ProductOptions = {},
): Value {
  const rows = a.shape[transA ? 3 : 2]!;
  const columns = b.shape[transB ? 2 : 3]!;
  const attributes = { transA: int(transA ? 1 : 0), transB: int(transB ? 1 : 0), alpha: float(alpha) };
  const shape = [a.shape[0]!, a.shape[1]!, rows, columns];
  return emit.node('FusedMatMul', [a, b], shape, attributes, { domain: 'com.microsoft' });
}

/** Scores of what a causal query may not see become -Infinity. */
function masked(emit: Emitter, math: Arithmetic, scores: Value, { signature, output }: Part): Value {
  if (signature.attributes['causal'] !== true) return scores;
  const [first, end] = output[1]!;
  const queries = emit.reshape(emit.ints(range(first, end)), [end - first, 1]);
  const later = math.greater(emit.ints(range(0, scores.shape[3]!)), queries);
  return math.where(later, -Infinity, scores);
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/** A causal mask, to be added to scores [N, heads, T, S]: a Constant node, since an initializer would be a weight. */
function maskNode(emit: Emitter, { shape }: Value): Value {
  const [steps, seen] = [shape[2]!, shape[3]!];
  const data = Float32Array.from({ length: steps * seen }, (_, i) =>
    i % seen > Math.floor(i / seen) ? MASKED_SCORE : 0,
  );
  const value = { dtype: 'float32', shape: [steps, seen], data } as const;
  return emit.node('Constant', [], value.shape, { value: { type: 'tensor', value } }, { dtype: 'float32' });
}

/** Two products of queries and the steps they see, over the width of the part. */
function multiplyAdds({ output, inputs }: Part): number {
  const [samples, steps] = regionShape(output);
  const [, seen, width] = regionShape(inputs[K]!);
  return samples! * steps! * seen! * (width! + regionShape(output)[2]!);
}

import type { Region } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import type { Arithmetic } from './arithmetic.ts';
import { arithmetic } from './arithmetic.ts';
import { elementwiseFlops, rowDimensions, sameOutputShape } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { float, int } from './emitter.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError } from './op.ts';
import { floatAttribute } from './unary.ts';

const [X, GAMMA, BETA] = [0, 1, 2];
/** What the forward pass keeps: mean and 1 / standard deviation of each row, [..., 1]. */
const [MEAN, INVERSE_DEVIATION] = [0, 1];

/**
 * y = (x - mean) / sqrt(variance + epsilon) * gamma + beta over the last axis of x [..., W], with gamma [W] and beta [W] or
 * none. Sample; axes between as attributes; channel splits gamma and beta, and its parts tell each other the mean and the
 * squared deviations of their piece of each row, then in the backward pass two sums of each row.
 * Sources: Ba et al., "Layer normalization", 2016; Chan et al., "Algorithms for computing the sample variance", 1983.
 */
export const layerNorm: OpDefinition = {
  kind: 'layerNorm',
  onnxTypes: ['LayerNormalization'],
  fromOnnx(node) {
    if (node.outputs.slice(1).some((name) => name !== '')) {
      throw new OpError('LayerNormalization gives mean and deviation; expected the normalized values only');
    }
    const hasBeta = (node.inputs[BETA] ?? '') !== '';
    return {
      attributes: { epsilon: floatAttribute(node, 'epsilon', 1e-5) },
      inputs: hasBeta ? [X, GAMMA, BETA] : [X, GAMMA],
    };
  },
  outputShapes(inputs) {
    const [x, gamma, beta] = inputs;
    const width = x?.at(-1);
    for (const each of [gamma, beta ?? gamma]) {
      if (x === undefined || x.length < 2 || each?.length !== 1 || each[0] !== width) {
        throw new OpError(`LayerNormalization has inputs of shapes [${x}] and [${each}]; expected [N, ..., W] and [W]`);
      }
    }
    return sameOutputShape(inputs);
  },
  dimensions({ outputs }): readonly Dimension[] {
    const shape = outputs[0]!;
    return [
      ...rowDimensions(shape),
      { name: 'channel', kind: 'parameter', size: shape.at(-1)!, axis: shape.length - 1 },
    ];
  },
  inputRegion: (_signature, output, input): Region => (input === X ? output : [output.at(-1)!]),
  forwardFlops: elementwiseFlops(8),
  backwardFlops: elementwiseFlops(14),
  statistics: {
    over: ['channel'],
    forwardSize: exchangedFloats,
    backwardSize: exchangedFloats,
    /** Per row of the part: its mean and the sum of squared deviations from it. */
    forward(emit) {
      const math = arithmetic(emit);
      const x = emit.input(X);
      const mean = meanKept(math, x);
      const deviation = math.sub(x, mean);
      const squares = math.sumKept(math.mul(deviation, deviation), [x.shape.length - 1]);
      emit.setStatistics(joined(emit, mean, squares));
    },
    /** Per row of the part: the sums of g and g * xhat, g the gradient of xhat. */
    backward(emit) {
      const math = arithmetic(emit);
      const { g, normalized } = gradientOfNormalized(emit, math);
      const last = [g.shape.length - 1];
      emit.setStatistics(joined(emit, math.sumKept(g, last), math.sumKept(math.mul(g, normalized), last)));
    },
  },
  forward(emit, part) {
    if (exchangedFloats(part) === 0) normalizeWhole(emit, part);
    else normalizePiece(emit, part);
  },
  /** dx = (g - mean(g) - xhat * mean(g * xhat)) / deviation, means over the whole row. */
  backward(emit, part) {
    const math = arithmetic(emit);
    const rows = [...Array(part.output.length - 1).keys()];
    if (emit.wantsGradInput(BETA)) emit.setGradInput(BETA, emit.reduceSum(emit.gradOutput(0), rows));
    const { g, normalized } = gradientOfNormalized(emit, math);
    if (emit.wantsGradInput(GAMMA)) {
      emit.setGradInput(GAMMA, emit.reduceSum(math.mul(emit.gradOutput(0), normalized), rows));
    }
    if (!emit.wantsGradInput(X)) return;
    const [sumG, sumGNormalized] = rowSums(emit, math, part, g, normalized);
    const width = part.signature.inputs[X]!.at(-1)!;
    const centred = math.sub(g, math.div(sumG, width));
    const dx = math.sub(centred, math.mul(normalized, math.div(sumGNormalized, width)));
    emit.setGradInput(X, math.mul(dx, emit.saved(INVERSE_DEVIATION)));
  },
  toOnnx: (emit, part) => emit.setOutput(0, layerNormalization(emit, part, 1)[0]!),
};

/** Two numbers per row, where the row is cut. */
function exchangedFloats(part: Part): number {
  const width = part.signature.inputs[X]!.at(-1)!;
  const [start, end] = part.output.at(-1)!;
  return end - start === width ? 0 : (2 * regionVolume(part.output)) / (end - start);
}

/** @param results how many of: normalized values, mean, 1 / deviation */
function layerNormalization(emit: Emitter, part: Part, results: number): readonly Value[] {
  const inputs = [X, GAMMA, BETA].filter((input) => emit.reads(input)).map((input) => emit.input(input));
  const shape = regionShape(part.output);
  const shapes = [shape, rowShape(shape), rowShape(shape)].slice(0, results);
  const values = shapes.map((each) => ({ dtype: 'float32' as const, shape: each }));
  const epsilon = float(numberAttribute(part.signature.attributes, 'epsilon'));
  return emit.nodes('LayerNormalization', inputs, values, { axis: int(-1), epsilon });
}

function normalizeWhole(emit: Emitter, part: Part): void {
  const [y, mean, inverse] = layerNormalization(emit, part, 3);
  emit.setOutput(0, y!);
  emit.save(MEAN, mean!);
  emit.save(INVERSE_DEVIATION, inverse!);
}

/** Chan's rule for pieces of equal size n: squares = sum of squares_i + n * sum of (mean_i - mean)^2. */
function normalizePiece(emit: Emitter, part: Part): void {
  const math = arithmetic(emit);
  const x = emit.input(X);
  const [means, squares] = separated(emit, rowShape(x.shape));
  const parts = means.shape[0]!;
  const mean = math.div(math.sumKept(means, [0]), parts);
  const deviation = math.sub(means, mean);
  const between = math.mul(math.sumKept(math.mul(deviation, deviation), [0]), x.shape.at(-1)!);
  const variance = math.div(math.add(math.sumKept(squares, [0]), between), part.signature.inputs[X]!.at(-1)!);
  const epsilon = numberAttribute(part.signature.attributes, 'epsilon');
  const inverse = math.apply('Reciprocal', math.apply('Sqrt', math.add(variance, epsilon)));
  const [rowMean, rowInverse] = [mean, inverse].map((value) => emit.reshape(value, rowShape(x.shape)));
  const scaled = math.mul(math.mul(math.sub(x, rowMean!), rowInverse!), emit.input(GAMMA));
  emit.setOutput(0, emit.reads(BETA) ? math.add(scaled, emit.input(BETA)) : scaled);
  emit.save(MEAN, rowMean!);
  emit.save(INVERSE_DEVIATION, rowInverse!);
}

function gradientOfNormalized(emit: Emitter, math: Arithmetic): { g: Value; normalized: Value } {
  const normalized = math.mul(math.sub(emit.input(X), emit.saved(MEAN)), emit.saved(INVERSE_DEVIATION));
  return { g: math.mul(emit.gradOutput(0), emit.input(GAMMA)), normalized };
}

/** Sums over the whole of each row, [..., 1]: of g, and of g * xhat. */
function rowSums(emit: Emitter, math: Arithmetic, part: Part, g: Value, normalized: Value): readonly [Value, Value] {
  const last = [g.shape.length - 1];
  if (exchangedFloats(part) === 0) return [math.sumKept(g, last), math.sumKept(math.mul(g, normalized), last)];
  const [first, second] = separated(emit, rowShape(g.shape));
  const total = (value: Value): Value => emit.reshape(math.sumKept(value, [0]), rowShape(g.shape));
  return [total(first), total(second)];
}

function meanKept(math: Arithmetic, x: Value): Value {
  return math.div(math.sumKept(x, [x.shape.length - 1]), x.shape.at(-1)!);
}

function rowShape(shape: readonly number[]): number[] {
  return [...shape.slice(0, -1), 1];
}

/** Two values of [..., 1] as one vector. */
function joined(emit: Emitter, first: Value, second: Value): Value {
  const count = first.shape.reduce((a, b) => a * b, 1);
  const flat = [first, second].map((value) => emit.reshape(value, [count]));
  return emit.node('Concat', flat, [2 * count], { axis: int(0) });
}

/** What all parts of the group {@link joined}: two values of [parts, ..., 1]. */
function separated(emit: Emitter, shape: readonly number[]): readonly [Value, Value] {
  const gathered = emit.gathered();
  const [parts, floats] = gathered.shape;
  const half = (start: number): Value => {
    const bounds = [[start], [start + floats! / 2], [1]].map((values) => emit.ints(values));
    return emit.reshape(emit.node('Slice', [gathered, ...bounds], [parts!, floats! / 2]), [parts!, ...shape]);
  };
  return [half(0), half(floats! / 2)];
}

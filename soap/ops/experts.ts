import type { Interval, Region } from '../region/region.ts';
import { regionShape, wholeRegion } from '../region/region.ts';
import { arithmetic } from './arithmetic.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { OpError } from './op.ts';

const [X, GATES, UP, UP_BIAS, DOWN, DOWN_BIAS] = [0, 1, 2, 3, 4, 5];
/** Index among the dimensions. */
const EXPERT = 2;

/**
 * A dense mixture of experts: x [N, T, W], gates [N, T, E], up [E, F, W], upBias [E, F], down [E, W, F], downBias [E, W] ->
 * [N, T, W]: the sum over e of gates_e (down_e gelu(up_e x + upBias_e) + downBias_e), where every expert sees every step.
 * Sample; sequence as attribute; expert splits the weights and leaves partial sums.
 * Source: Jacobs et al., "Adaptive mixtures of local experts", 1991.
 */
export const experts: OpDefinition = {
  kind: 'experts',
  onnxTypes: [],
  fromOnnx() {
    throw new OpError('internal: a mixture of experts is built, not imported');
  },
  outputShapes(inputs) {
    const [x, gates, up] = inputs;
    const [samples, steps, width] = x ?? [];
    const [count, inner] = up ?? [];
    const expected = [
      [samples, steps, width],
      [samples, steps, count],
      [count, inner, width],
      [count, inner],
      [count, width, inner],
      [count, width],
    ];
    if (x?.length !== 3 || gates?.length !== 3 || up?.length !== 3 || String(inputs.map(String)) !== String(expected)) {
      const listed = (shapes: readonly (readonly (number | undefined)[])[]): string =>
        shapes.map((shape) => `[${shape}]`).join(', ');
      throw new OpError(`experts has inputs of shapes ${listed(inputs)}; expected ${listed(expected)}`);
    }
    return [x];
  },
  dimensions({ inputs }): readonly Dimension[] {
    const [samples, steps, count] = inputs[GATES]!;
    return [
      { name: 'sample', kind: 'sample', size: samples!, axis: 0 },
      { name: 'sequence', kind: 'attribute', size: steps!, axis: 1 },
      { name: 'expert', kind: 'parameter', size: count!, axis: undefined },
    ];
  },
  inputRegion({ inputs }, output, input, ranges): Region {
    const own: Interval = ranges[EXPERT]!;
    if (input === X) return output;
    if (input === GATES) return [output[0]!, output[1]!, own];
    return [own, ...wholeRegion(inputs[input]!).slice(1)];
  },
  forwardFlops: (part) => flops(part, 2),
  backwardFlops: (part) => flops(part, 4),
  weightGradientFlops: (part, input) => (input === UP || input === DOWN ? productFlops(part) : 0),
  forward(emit, part) {
    const sizes = sizesOf(part);
    const { rows, width, count } = sizes;
    const inner = emit.node('Gemm', [matrixX(emit, sizes), ...upWeights(emit, sizes)], innerShape(sizes), {
      transB: int(1),
    });
    const gates = emit.reshape(emit.input(GATES), [rows, count]);
    const biases = emit.node('Gemm', [gates, emit.input(DOWN_BIAS)], [rows, width]);
    const gated = gatedBy(emit, sizes, activated(emit, inner));
    const y = emit.node('Gemm', [gated, downRows(emit, sizes), biases], [rows, width]);
    emit.setOutput(0, emit.reshape(y, regionShape(part.output)));
    emit.save(0, inner);
  },
  /** Gradients of weights are written as matrices where that is the memory of the input's box. */
  backward(emit, part) {
    const sizes = sizesOf(part);
    const { rows, width, count, features } = sizes;
    const inner = emit.saved(0);
    const dy = emit.reshape(emit.gradOutput(0), [rows, width]);
    const active = activated(emit, inner);
    const gradGated = emit.node('Gemm', [dy, downRows(emit, sizes)], innerShape(sizes), { transB: int(1) });
    if (emit.wantsGradInput(GATES)) {
      const products = emit.reshape(arithmetic(emit).mul(gradGated, active), [rows, count, features]);
      const ofBiases = emit.node('Gemm', [dy, emit.input(DOWN_BIAS)], [rows, count], { transB: int(1) });
      const gradient = arithmetic(emit).add(emit.reduceSum(products, [2]), ofBiases);
      emit.setGradInput(GATES, emit.reshape(gradient, regionShape(part.inputs[GATES]!)));
    }
    if (emit.wantsGradInput(DOWN)) {
      const gated = gatedBy(emit, sizes, active);
      const product = emit.node('Gemm', [dy, gated], [width, count * features], { transA: int(1) });
      emit.setGradInput(DOWN, emit.transpose(emit.reshape(product, [width, count, features]), [1, 0, 2]));
    }
    if (emit.wantsGradInput(DOWN_BIAS)) {
      const gates = emit.reshape(emit.input(GATES), [rows, count]);
      emit.setGradInput(DOWN_BIAS, emit.node('Gemm', [gates, dy], [count, width], { transA: int(1) }));
    }
    const gradInner = arithmetic(emit).mul(gatedBy(emit, sizes, gradGated), slope(emit, inner));
    if (emit.wantsGradInput(X)) {
      const gradient = emit.node('Gemm', [gradInner, upWeights(emit, sizes)[0]], [rows, width]);
      emit.setGradInput(X, emit.reshape(gradient, regionShape(part.inputs[X]!)));
    }
    if (emit.wantsGradInput(UP)) {
      const product = emit.node('Gemm', [gradInner, matrixX(emit, sizes)], [count * features, width], {
        transA: int(1),
      });
      emit.setGradInput(UP, product);
    }
    if (emit.wantsGradInput(UP_BIAS)) emit.setGradInput(UP_BIAS, emit.reduceSum(gradInner, [0]));
  },
  toOnnx: expertsToOnnx,
};

/** With the experts as an axis of their own, [N, E, T, ...], so that no shape depends on the batch. */
function expertsToOnnx(emit: Emitter): void {
  const math = arithmetic(emit);
  const product = (value: Value, weight: Value, bias: Value): Value => {
    const columns = emit.transpose(weight, [0, 2, 1]);
    const shape = [value.shape[0]!, columns.shape[0]!, value.shape[2]!, columns.shape[2]!];
    return math.add(emit.node('MatMul', [value, columns], shape), unsqueezed(emit, bias, 1));
  };
  const inner = product(unsqueezed(emit, emit.input(X), 1), emit.input(UP), emit.input(UP_BIAS));
  // The nodes that the op gelu is written as.
  const doubled = math.add(math.apply('Erf', math.div(inner, Math.SQRT2)), 1);
  const active = math.mul(math.mul(inner, doubled), 0.5);
  const results = product(active, emit.input(DOWN), emit.input(DOWN_BIAS));
  const gates = unsqueezed(emit, emit.transpose(emit.input(GATES), [0, 2, 1]), 3);
  emit.setOutput(0, emit.reduceSum(math.mul(results, gates), [1]));
}

function unsqueezed(emit: Emitter, value: Value, axis: number): Value {
  return emit.node('Unsqueeze', [value, emit.ints([axis])], value.shape.toSpliced(axis, 0, 1));
}

/** Extents of a part: rows are its samples times its steps. */
interface Sizes {
  readonly rows: number;
  readonly width: number;
  readonly count: number;
  readonly features: number;
}

function sizesOf({ output, inputs }: Part): Sizes {
  const [samples, steps, width] = regionShape(output);
  const [count, features] = regionShape(inputs[UP]!);
  return { rows: samples! * steps!, width: width!, count: count!, features: features! };
}

/** The hidden layers of all experts side by side: [rows, E * F]. */
function innerShape({ rows, count, features }: Sizes): readonly number[] {
  return [rows, count * features];
}

function matrixX(emit: Emitter, { rows, width }: Sizes): Value {
  return emit.reshape(emit.input(X), [rows, width]);
}

/** [E * F, W] and [E * F]. */
function upWeights(emit: Emitter, { width, count, features }: Sizes): readonly [Value, Value] {
  const weight = emit.reshape(emit.input(UP), [count * features, width]);
  return [weight, emit.reshape(emit.input(UP_BIAS), [count * features])];
}

/** [E * F, W]: one product with it sums over features and experts at once. */
function downRows(emit: Emitter, { width, count, features }: Sizes): Value {
  return emit.reshape(emit.transpose(emit.input(DOWN), [0, 2, 1]), [count * features, width]);
}

/** [rows, E * F] times the gate of each expert. */
function gatedBy(emit: Emitter, sizes: Sizes, value: Value): Value {
  const { rows, count, features } = sizes;
  const gates = emit.reshape(emit.input(GATES), [rows, count, 1]);
  const product = arithmetic(emit).mul(emit.reshape(value, [rows, count, features]), gates);
  return emit.reshape(product, innerShape(sizes));
}

/** gelu(x) = x Phi(x); see the op gelu. */
function activated(emit: Emitter, x: Value): Value {
  return arithmetic(emit).mul(x, distribution(emit, x));
}

/** Phi(x) + x phi(x). */
function slope(emit: Emitter, x: Value): Value {
  const math = arithmetic(emit);
  const density = math.mul(math.apply('Exp', math.mul(math.mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return math.add(distribution(emit, x), math.mul(x, density));
}

/** Phi(x) = (1 + erf(x / sqrt 2)) / 2. */
function distribution(emit: Emitter, x: Value): Value {
  const math = arithmetic(emit);
  return math.mul(math.add(math.apply('Erf', math.mul(x, Math.SQRT1_2)), 1), 0.5);
}

/** Products with the two weights, and about 20 operations for each activation and its gate. */
/** Of one of the two products, forward, or of one of the gradients that it has back. */
function productFlops(part: Part): number {
  const { rows, width, count, features } = sizesOf(part);
  return 2 * rows * count * features * width;
}

function flops(part: Part, perMultiplyAdd: number): number {
  const { rows, width, count, features } = sizesOf(part);
  return rows * count * features * (2 * width * perMultiplyAdd + 20);
}

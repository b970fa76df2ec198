import type { Shape } from '../graph/graph.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import { rowDimensions } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { OpError } from './op.ts';

const [X, WEIGHT, BIAS] = [0, 1, 2];

/** Rows are few where a weight has so many times as many. Source: measured, docs/performance/kernels.md. */
const FEW_ROWS = 8;

/** Up to so many rows, a weight goes first; where it is read across, it has to be so many times as wide as high. Source: as above. */
const [MAX_ROWS_BEHIND, WIDE] = [64, 2];

/**
 * y = x W^T + b with x [N, ..., in], W [out, in] (or [in, out] where `transposed` is false), b [out].
 * The paper's matrix multiplication: sample and channel, where channel splits W and b; axes between, such as the sequence,
 * are attributes. Beyond the paper, width splits the sum over the inputs: a row-parallel layer.
 */
export const linear: OpDefinition = {
  kind: 'linear',
  onnxTypes: ['Gemm'],
  fromOnnx(node) {
    const transA = node.attributes['transA'];
    if (transA?.type === 'int' && transA.value !== 0) throw new OpError(`Gemm has transA ${transA.value}; expected 0`);
    const transB = node.attributes['transB'];
    const hasBias = node.inputs.length > BIAS && node.inputs[BIAS] !== '';
    return {
      attributes: { transposed: transB?.type === 'int' && transB.value === 1 },
      inputs: hasBias ? [X, WEIGHT, BIAS] : [X, WEIGHT],
    };
  },
  weightInputs: [WEIGHT, BIAS],
  outputShapes([x, weight, bias], attributes) {
    if (x === undefined || x.length < 2 || weight?.length !== 2) {
      throw new OpError(`Gemm has inputs of shapes [${x}] and [${weight}]; expected two matrices`);
    }
    const [out, width] = attributes['transposed'] === true ? weight : weight.toReversed();
    if (width !== x.at(-1)) throw new OpError(`Gemm has an input of width ${x.at(-1)}; its weight expects ${width}`);
    if (bias !== undefined && (bias.length !== 1 || bias[0] !== out)) {
      throw new OpError(`Gemm has a bias of ${bias}; its weight gives ${out} channels`);
    }
    return [[...x.slice(0, -1), out!]];
  },
  dimensions({ inputs, outputs }): readonly Dimension[] {
    const shape = outputs[0]!;
    return [
      ...rowDimensions(shape),
      { name: 'channel', kind: 'parameter', size: shape.at(-1)!, axis: shape.length - 1 },
      { name: 'width', kind: 'reduction', size: inputs[X]!.at(-1)!, axis: undefined },
    ];
  },
  inputRegion({ attributes }, output, input, ranges): Region | undefined {
    const channels = output.at(-1)!;
    const width = ranges.at(-1)!;
    if (input === X) return [...output.slice(0, -1), width];
    // One of the partial sums has the bias.
    if (input === BIAS) return width[0] === 0 ? [channels] : undefined;
    return attributes['transposed'] === true ? [channels, width] : [width, channels];
  },
  forwardFlops: (part) => 2 * multiplyAdds(part),
  backwardFlops: (part) => 4 * multiplyAdds(part),
  weightGradientFlops: (part, input) => (input === WEIGHT ? 2 * multiplyAdds(part) : 0),
  forward(emit, part) {
    const shape = regionShape(part.output);
    const [x, weight] = [emit.input(X), emit.input(WEIGHT)];
    const bias = emit.reads(BIAS) ? emit.input(BIAS) : undefined;
    emit.setOutput(0, product(emit, x, weight, isTransposed(part), { shape, bias }));
  },
  backward(emit, part) {
    const transposed = isTransposed(part);
    const gradient = emit.gradOutput(0);
    if (emit.wantsGradInput(X)) {
      const shape = regionShape(part.inputs[X]!);
      emit.setGradInput(X, product(emit, gradient, emit.input(WEIGHT), !transposed, { shape }));
    }
    const dy = rows(emit, gradient);
    if (emit.wantsGradInput(WEIGHT)) {
      const x = rows(emit, emit.input(X));
      const [a, b] = transposed ? ([dy, x] as const) : ([x, dy] as const);
      emit.setGradInput(WEIGHT, outerProduct(emit, a, b));
    }
    if (emit.wantsGradInput(BIAS)) emit.setGradInput(BIAS, emit.reduceSum(dy, [0]));
  },
  /** More than two axes are a MatMul and an Add, as PyTorch exports them. */
  toOnnx(emit, part) {
    const shape = regionShape(part.output);
    if (shape.length === 2) {
      const operands = [X, WEIGHT, BIAS].filter((input) => emit.reads(input)).map((input) => emit.input(input));
      emit.setOutput(0, emit.node('Gemm', operands, shape, { transB: int(isTransposed(part) ? 1 : 0) }));
      return;
    }
    const weight = isTransposed(part) ? emit.transpose(emit.input(WEIGHT), [1, 0]) : emit.input(WEIGHT);
    const product = emit.node('MatMul', [emit.input(X), weight], shape);
    emit.setOutput(0, emit.reads(BIAS) ? emit.node('Add', [product, emit.input(BIAS)], shape) : product);
  },
};

/**
 * a b, or a b^T, plus a bias. More than two axes are not put into rows and back: ONNX Runtime would copy them, and spread the
 * bias over the rows of a Gemm in one thread.
 */
function product(
  emit: Emitter,
  a: Value,
  b: Value,
  transposesB: boolean,
  { shape, bias }: { readonly shape: readonly number[]; readonly bias?: Value | undefined },
): Value {
  const transB = int(transposesB ? 1 : 0);
  if (shape.length === 2) {
    const least = transposesB ? shape[0]! : WIDE * b.shape[0]!;
    if (shape[0]! <= MAX_ROWS_BEHIND && shape[1]! > least) return weightFirst(emit, a, b, transposesB, bias);
    return emit.node('Gemm', bias === undefined ? [a, b] : [a, b, bias], shape, { transB });
  }
  const matrix = emit.node('FusedMatMul', [a, b], shape, { transB }, { domain: 'com.microsoft' });
  return bias === undefined ? matrix : emit.node('Add', [matrix, bias], shape);
}

/** a b, or a b^T, plus a bias, with the factors transposed: what the library packs anew is its second one, here the small one. */
function weightFirst(emit: Emitter, a: Value, b: Value, transposesB: boolean, bias: Value | undefined): Value {
  const shape = [a.shape[0]!, b.shape[transposesB ? 0 : 1]!];
  const order = { transA: int(transposesB ? 0 : 1), transB: int(1) };
  const product = emit.transpose(emit.node('Gemm', [b, a], shape.toReversed(), order), [1, 0]);
  return bias === undefined ? product : emit.node('Add', [product, bias], shape);
}

/** a^T b of matrices with the same rows. Few rows are transposed at little cost; the product is up to a third faster then. */
function outerProduct(emit: Emitter, a: Value, b: Value): Value {
  const [rows, shape] = [a.shape[0]!, [a.shape[1]!, b.shape[1]!]];
  if (FEW_ROWS * rows > Math.min(...shape)) return emit.node('Gemm', [a, b], shape, { transA: int(1) });
  return emit.node('Gemm', [emit.transpose(a, [1, 0]), b], shape);
}

/** [N, ..., W] -> [N * ..., W]. */
function rows(emit: Emitter, value: Value): Value {
  return value.shape.length === 2 ? value : emit.reshape(value, [rowCount(value.shape), value.shape.at(-1)!]);
}

function rowCount(shape: Shape): number {
  return shape.slice(0, -1).reduce((a, b) => a * b, 1);
}

function isTransposed({ signature }: Part): boolean {
  return signature.attributes['transposed'] === true;
}

function multiplyAdds({ output, ranges }: Part): number {
  const [start, end]: Interval = ranges.at(-1)!;
  return regionVolume(output) * (end - start);
}

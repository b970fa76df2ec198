import type { Attributes, Shape } from '../graph/graph.ts';
import type { OnnxNode } from '../onnx/model.ts';
import { regionVolume } from '../region/region.ts';
import { arithmetic } from './arithmetic.ts';
import { elementwiseDimensions, elementwiseFlops, sameInputRegion, sameOutputShape } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import { nodeAxis } from './node-axes.ts';
import type { Dimension, ImportContext, OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError } from './op.ts';
import { finite } from './reductions.ts';

/** The dimension along the axis that is normalized. */
const CLASS = 'class';

/** What an op normalizes with: the largest value of each lane, and the sum of exponentials relative to it, both kept. */
export interface Normalizer {
  readonly largest: Value;
  readonly total: Value;
}

/** What tells softmax from its logarithm. */
export interface SoftmaxForm {
  readonly kind: string;
  readonly onnxType: string;
  /** The result of x under a normalizer. */
  readonly normalized: (emit: Emitter, x: Value, normalizer: Normalizer) => Value;
  /** What the backward pass sums along the axis. */
  readonly summed: (emit: Emitter, y: Value, dy: Value) => Value;
  /** The gradient dx, given that sum. */
  readonly gradient: (emit: Emitter, y: Value, dy: Value, total: Value) => Value;
}

/**
 * An op that normalizes along `axis` by the sum of exponentials. Each axis splits: sample, attributes, and class, the
 * normalized one, whose parts tell each other their largest value and sum of exponentials, then the sum of the backward pass.
 * Source: Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, section 3.
 */
export function softmaxOp(form: SoftmaxForm): OpDefinition {
  const { kind, onnxType, normalized, summed, gradient } = form;
  return {
    kind,
    onnxTypes: [onnxType],
    fromOnnx: (node, context) => ({ attributes: { axis: importedAxis(node, context) }, inputs: [0] }),
    outputShapes(inputs, attributes) {
      axisOf(attributes, inputs[0]!);
      return sameOutputShape(inputs);
    },
    dimensions(signature): readonly Dimension[] {
      const axis = axisOf(signature.attributes, signature.outputs[0]!);
      return elementwiseDimensions(signature).map((each) =>
        each.axis === axis ? { ...each, name: CLASS, kind: 'attribute' } : each,
      );
    },
    inputRegion: sameInputRegion,
    forwardFlops: elementwiseFlops(8),
    backwardFlops: elementwiseFlops(4),
    statistics: {
      over: [CLASS],
      forwardSize: (part) => 2 * exchangedLanes(part),
      backwardSize: exchangedLanes,
      /** Per lane: the largest value, and the sum of exponentials relative to it. */
      forward(emit, part) {
        const { largest, total } = ownNormalizer(emit, emit.input(0), axisOfPart(part));
        const flat = [largest, total].map((value) => emit.reshape(value, [exchangedLanes(part)]));
        emit.setStatistics(emit.node('Concat', flat, [2 * exchangedLanes(part)], { axis: int(0) }));
      },
      backward(emit, part) {
        const lanes = arithmetic(emit).sumKept(summed(emit, emit.output(0), emit.gradOutput(0)), [axisOfPart(part)]);
        emit.setStatistics(emit.reshape(lanes, [exchangedLanes(part)]));
      },
    },
    forward(emit, part) {
      const [x, axis] = [emit.input(0), axisOfPart(part)];
      const isPiece = exchangedLanes(part) > 0;
      const result = isPiece
        ? normalized(emit, x, gatheredNormalizer(emit, x, axis))
        : emit.node(onnxType, [x], x.shape, { axis: int(axis) });
      emit.setOutput(0, result);
    },
    backward(emit, part) {
      const [y, dy, axis] = [emit.output(0), emit.gradOutput(0), axisOfPart(part)];
      const isPiece = exchangedLanes(part) > 0;
      const total = isPiece
        ? emit.reshape(emit.reduceSum(emit.gathered(), [0]), y.shape.with(axis, 1))
        : arithmetic(emit).sumKept(summed(emit, y, dy), [axis]);
      emit.setGradInput(0, gradient(emit, y, dy, total));
    },
  };
}

/** Up to operator set 12 the axes from the given one on are one. @throws {OpError} where that makes a difference */
function importedAxis(node: OnnxNode, context: ImportContext): number {
  const [attribute, shape] = [node.attributes['axis'], context.shape(0)];
  const flattens = context.opset < 13;
  const given = attribute?.type === 'int' ? attribute.value : flattens ? 1 : -1;
  const axis = nodeAxis(node, given, shape.length);
  if (flattens && shape.slice(axis + 1).some((extent) => extent > 1)) {
    throw new OpError(
      `${node.opType} of operator set ${context.opset} has axis ${axis} of [${shape}], and so all axes after it; expected the last`,
    );
  }
  return axis;
}

/** The axis that is normalized. @throws {OpError} where the shape has no such axis */
function axisOf(attributes: Attributes, shape: Shape): number {
  const axis = numberAttribute(attributes, 'axis');
  if (axis < 0 || axis >= shape.length) throw new OpError(`Softmax has axis ${axis}; its input has shape [${shape}]`);
  return axis;
}

function axisOfPart({ signature }: Part): number {
  return axisOf(signature.attributes, signature.outputs[0]!);
}

/** How many lanes along the axis the part has a piece of; 0 where it has whole lanes. */
function exchangedLanes(part: Part): number {
  const axis = axisOfPart(part);
  const [start, end] = part.output[axis]!;
  return end - start === part.signature.outputs[0]![axis]! ? 0 : regionVolume(part.output) / (end - start);
}

/** Of what the part has. */
function ownNormalizer(emit: Emitter, x: Value, axis: number): Normalizer {
  const math = arithmetic(emit);
  const largest = finite(emit, maxKept(emit, x, axis));
  return { largest, total: math.sumKept(math.apply('Exp', math.sub(x, largest)), [axis]) };
}

/** Of whole lanes, from what all parts have told. */
function gatheredNormalizer(emit: Emitter, x: Value, axis: number): Normalizer {
  const math = arithmetic(emit);
  const gathered = emit.gathered();
  const [parts, floats] = gathered.shape;
  const half = (start: number): Value => {
    const bounds = [[start], [start + floats! / 2], [1]].map((values) => emit.ints(values));
    return emit.node('Slice', [gathered, ...bounds], [parts!, floats! / 2]);
  };
  const [maxima, sums] = [half(0), half(floats! / 2)];
  const largest = maxKept(emit, maxima, 0);
  const total = math.sumKept(math.mul(sums, math.apply('Exp', math.sub(maxima, largest))), [0]);
  const lanes = x.shape.with(axis, 1);
  return { largest: emit.reshape(largest, lanes), total: emit.reshape(total, lanes) };
}

function maxKept(emit: Emitter, x: Value, axis: number): Value {
  return emit.node('ReduceMax', [x], x.shape.with(axis, 1), {
    axes: { type: 'ints', value: [axis] },
    keepdims: int(1),
  });
}

import type { Attributes, Shape } from '../graph/graph.ts';
import { regionVolume } from '../strategy/region.ts';
import { arithmetic } from './arithmetic.ts';
import { elementwiseDimensions, elementwiseFlops, sameInputRegion, sameOutputShape } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError } from './op.ts';

/** The dimension along the axis that sums to 1. */
const CLASS = 'class';

/**
 * y = exp(x) / sum of exp(x) along `axis`; dx = y * (dy - sum of dy * y). Each axis splits: sample, attributes, and class, the
 * normalized one, whose parts tell each other their largest value and sum of exponentials, then sum of dy * y.
 * Source: Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, section 3.
 */
export const softmax: OpDefinition = {
  kind: 'softmax',
  onnxTypes: ['Softmax'],
  fromOnnx(node, context) {
    const [attribute, shape] = [node.attributes['axis'], context.shape(0)];
    const flattens = context.opset < 13;
    const given = attribute?.type === 'int' ? attribute.value : flattens ? 1 : -1;
    const axis = given < 0 ? given + shape.length : given;
    if (flattens && shape.slice(axis + 1).some((extent) => extent > 1)) {
      throw new OpError(
        `Softmax of operator set ${context.opset} has axis ${axis} of [${shape}], and so all axes after it; expected the last`,
      );
    }
    return { attributes: { axis }, inputs: [0] };
  },
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
      const math = arithmetic(emit);
      const x = emit.input(0);
      const axis = axisOf(part.signature.attributes, x.shape);
      const largest = maxKept(emit, x, axis);
      const sum = math.sumKept(math.apply('Exp', math.sub(x, largest)), [axis]);
      const flat = [largest, sum].map((value) => emit.reshape(value, [exchangedLanes(part)]));
      emit.setStatistics(emit.node('Concat', flat, [2 * exchangedLanes(part)], { axis: int(0) }));
    },
    backward(emit, part) {
      const math = arithmetic(emit);
      const axis = axisOf(part.signature.attributes, emit.output(0).shape);
      const product = math.sumKept(math.mul(emit.gradOutput(0), emit.output(0)), [axis]);
      emit.setStatistics(emit.reshape(product, [exchangedLanes(part)]));
    },
  },
  forward(emit, part) {
    const x = emit.input(0);
    const axis = axisOf(part.signature.attributes, x.shape);
    const whole = exchangedLanes(part) === 0;
    emit.setOutput(0, whole ? emit.node('Softmax', [x], x.shape, { axis: int(axis) }) : piece(emit, x, axis));
  },
  backward(emit, part) {
    const math = arithmetic(emit);
    const [y, dy] = [emit.output(0), emit.gradOutput(0)];
    const axis = axisOf(part.signature.attributes, y.shape);
    const total =
      exchangedLanes(part) === 0
        ? math.sumKept(math.mul(dy, y), [axis])
        : emit.reshape(emit.reduceSum(emit.gathered(), [0]), y.shape.with(axis, 1));
    emit.setGradInput(0, math.mul(y, math.sub(dy, total)));
  },
};

/** The axis that is normalized. @throws {OpError} where the shape has no such axis */
function axisOf(attributes: Attributes, shape: Shape): number {
  const axis = numberAttribute(attributes, 'axis');
  if (axis < 0 || axis >= shape.length) throw new OpError(`Softmax has axis ${axis}; its input has shape [${shape}]`);
  return axis;
}

/** How many lanes along the axis the part has a piece of; 0 where it has whole lanes. */
function exchangedLanes({ signature, output }: Part): number {
  const axis = axisOf(signature.attributes, signature.outputs[0]!);
  const [start, end] = output[axis]!;
  return end - start === signature.outputs[0]![axis]! ? 0 : regionVolume(output) / (end - start);
}

function piece(emit: Emitter, x: Value, axis: number): Value {
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
  const [lanesLargest, lanesTotal] = [largest, total].map((value) => emit.reshape(value, x.shape.with(axis, 1)));
  return math.div(math.apply('Exp', math.sub(x, lanesLargest!)), lanesTotal!);
}

function maxKept(emit: Emitter, x: Value, axis: number): Value {
  return emit.node('ReduceMax', [x], x.shape.with(axis, 1), {
    axes: { type: 'ints', value: [axis] },
    keepdims: int(1),
  });
}

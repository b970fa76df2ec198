import type { Attributes } from '../graph/graph.ts';
import type { Interval } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import type { Emitter, Value } from './emitter.ts';
import { float, int, ints } from './emitter.ts';
import type { OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError } from './op.ts';
import { spatialDimensions } from './spatial.ts';
import { floatAttribute } from './unary.ts';

/**
 * Local response normalization over channels: y = x / s^beta with s = bias + alpha / size * (sum of the squares of `size`
 * channels around it), of images [N, C, H, W]; of an even number, one more comes after it than before. Parts of the channels
 * read their neighbours.
 * Source: ONNX LRN; Krizhevsky et al., "ImageNet classification", 2012, section 3.3.
 */
export const lrn: OpDefinition = {
  kind: 'lrn',
  onnxTypes: ['LRN'],
  fromOnnx(node) {
    const size = node.attributes['size'];
    if (size?.type !== 'int' || size.value < 1) {
      const got = size?.type === 'int' ? `size ${size.value}` : 'no size';
      throw new OpError(`LRN has ${got}; expected a number of channels from 1`);
    }
    return {
      attributes: {
        size: size.value,
        alpha: floatAttribute(node, 'alpha', 1e-4),
        beta: floatAttribute(node, 'beta', 0.75),
        bias: floatAttribute(node, 'bias', 1),
      },
      inputs: [0],
    };
  },
  outputShapes([x]) {
    if (x?.length !== 4) throw new OpError(`LRN has an input of shape [${x}]; expected [N, C, H, W]`);
    return [x];
  },
  dimensions: ({ outputs }) => spatialDimensions(outputs[0]!, { channel: 'attribute' }),
  inputRegion({ inputs, attributes }, output) {
    const [before, after] = neighbours(attributes);
    const [start, end] = output[1]!;
    const channels: Interval = [Math.max(0, start - before), Math.min(inputs[0]![1]!, end + after)];
    return output.with(1, channels);
  },
  forwardFlops: flops,
  backwardFlops: (part) => 2 * flops(part),
  /** ONNX Runtime's LRN, measured on its CPU, takes longer than its parts. */
  forward(emit, part) {
    const factor = power(emit, scales(emit, part), -numberAttribute(part.signature.attributes, 'beta'));
    emit.setOutput(0, emit.node('Mul', [own(emit, emit.input(0), part), factor], factor.shape));
  },
  /** dx = dy / s^beta - 2 alpha beta / size * x * (sum of dy x / s^(beta + 1) over the places that see x). */
  backward(emit, part) {
    const { attributes } = part.signature;
    const [alpha, beta] = [numberAttribute(attributes, 'alpha'), numberAttribute(attributes, 'beta')];
    const [before, after] = neighbours(attributes);
    const x = emit.input(0);
    const [[start, end], [first, last]] = [part.output[1]!, part.inputs[0]![1]!];
    const s = scales(emit, part);
    const direct = emit.node('Mul', [emit.gradOutput(0), power(emit, s, -beta)], s.shape);
    const product = emit.node('Mul', [direct, own(emit, x, part)], s.shape);
    const ratio = emit.node('Div', [product, s], s.shape);
    const spread = channelMean(emit, part, ratio, [start - first + after, last - end + before]);
    const factor = emit.node('Mul', [spread, emit.scalar(-2 * alpha * beta)], x.shape);
    const indirect = emit.node('Mul', [x, factor], x.shape);
    const padded = surrounded(emit, direct, [start - first, last - end]);
    emit.setGradInput(0, emit.node('Add', [padded, indirect], x.shape));
  },
  toOnnx(emit, { signature: { attributes } }) {
    const x = emit.input(0);
    const y = emit.node('LRN', [x], x.shape, {
      size: int(numberAttribute(attributes, 'size')),
      alpha: float(numberAttribute(attributes, 'alpha')),
      beta: float(numberAttribute(attributes, 'beta')),
      bias: float(numberAttribute(attributes, 'bias')),
    });
    emit.setOutput(0, y);
  },
};

/** How many channels each one sees before and after it. */
function neighbours(attributes: Attributes): readonly [before: number, after: number] {
  const others = numberAttribute(attributes, 'size') - 1;
  return [Math.floor(others / 2), Math.ceil(others / 2)];
}

/** s of the part's own channels. */
function scales(emit: Emitter, part: Part): Value {
  const { attributes } = part.signature;
  const [before, after] = neighbours(attributes);
  const [[start, end], [first, last]] = [part.output[1]!, part.inputs[0]![1]!];
  const x = emit.input(0);
  const squares = emit.node('Mul', [x, x], x.shape);
  const mean = channelMean(emit, part, squares, [first - start + before, end - last + after]);
  const scaled = emit.node('Mul', [mean, emit.scalar(numberAttribute(attributes, 'alpha'))], mean.shape);
  return emit.node('Add', [scaled, emit.scalar(numberAttribute(attributes, 'bias'))], mean.shape);
}

/** The part's own channels of what has the neighbours, too. */
function own(emit: Emitter, value: Value, part: Part): Value {
  const [[start, end], [first, last]] = [part.output[1]!, part.inputs[0]![1]!];
  if (start === first && end === last) return value;
  const bounds = [[start - first], [end - first], [1]].map((each) => emit.ints(each));
  return emit.node('Slice', [value, ...bounds], regionShape(part.output));
}

/** Zeros around the channels. */
function surrounded(emit: Emitter, value: Value, [before, after]: readonly [number, number]): Value {
  if (before === 0 && after === 0) return value;
  const shape = value.shape.with(1, value.shape[1]! + before + after);
  return emit.node('Pad', [value, emit.ints([0, before, 0, 0, 0, after, 0, 0]), emit.scalar(0)], shape);
}

/** Mean of `size` channels, zeros around them: pooling with the channels as an axis of images. */
function channelMean(
  emit: Emitter,
  { signature }: Part,
  value: Value,
  [before, after]: readonly [number, number],
): Value {
  const size = numberAttribute(signature.attributes, 'size');
  const [samples, channels, height, width] = value.shape;
  const planes = emit.reshape(value, [samples!, 1, channels!, height! * width!]);
  const places = channels! + before + after - size + 1;
  const mean = emit.node('AveragePool', [planes], planes.shape.with(2, places), {
    kernel_shape: ints([size, 1]),
    pads: ints([before, 0, after, 0]),
    count_include_pad: int(1),
  });
  return emit.reshape(mean, [samples!, places, height!, width!]);
}

/** A positive value to a constant power. */
function power(emit: Emitter, value: Value, exponent: number): Value {
  const logarithm = emit.node('Log', [value], value.shape);
  return emit.node('Exp', [emit.node('Mul', [logarithm, emit.scalar(exponent)], value.shape)], value.shape);
}

/** Squares and their sums, a power, a product. */
function flops(part: Part): number {
  return (numberAttribute(part.signature.attributes, 'size') + 4) * regionVolume(part.output);
}

import type { Attributes } from '../graph/graph.ts';
import type { Interval } from '../region/region.ts';
import { regionShape } from '../region/region.ts';
import type { Emitter, Value } from './emitter.ts';
import { int, ints } from './emitter.ts';
import type { OpDefinition, Part } from './op.ts';
import { numbersAttribute } from './op.ts';
import {
  poolDimensions,
  poolFlops,
  poolFromOnnx,
  poolInputRegion,
  poolOutputShape,
  windowAttributes,
} from './pooling.ts';
import type { Window } from './window.ts';
import { partPads, tapCount, windowOf } from './window.ts';

/**
 * Mean of each window of [N, C, ...] with one to three spatial axes: over the taps inside the input, or with
 * `countIncludePad` also over those in the padding, though not over those that `overhang` adds to it.
 * Source: ONNX AveragePool 22 and torch.nn.AvgPool2d, which agree.
 */
export const avgPool2d: OpDefinition = {
  kind: 'avgPool2d',
  onnxTypes: ['AveragePool'],
  fromOnnx(node, context) {
    const { overhang, ...window } = poolFromOnnx(node, context.shape(0));
    const countIncludePad = node.attributes['count_include_pad'];
    return {
      attributes: {
        ...window,
        countIncludePad: countIncludePad?.type === 'int' && countIncludePad.value !== 0,
        ...(overhang.some((extent) => extent > 0) ? { overhang } : {}),
      },
      inputs: [0],
    };
  },
  outputShapes: ([x], attributes) => [poolOutputShape('AveragePool', x, attributes)],
  dimensions: poolDimensions,
  inputRegion: poolInputRegion,
  forwardFlops: poolFlops,
  backwardFlops: poolFlops,
  forward(emit, part) {
    const window = windowOf(part.signature.attributes);
    const countsPadding = part.signature.attributes['countIncludePad'] === true;
    // The operator set of the kernels has no dilated AveragePool.
    if (window.dilations.some((dilation) => dilation > 1)) {
      emit.setOutput(0, weighted(emit, meanByConv(emit, window, part), part));
      return;
    }
    const mean = averagePool(emit, part, partPads(window, part));
    emit.setOutput(0, countsPadding ? weighted(emit, mean, part) : mean);
  },
  toOnnx(emit, part) {
    const { attributes } = part.signature;
    const { dilations, padsBegin, padsEnd } = windowOf(attributes);
    const pads = [...padsBegin, ...padsEnd.map((pad, axis) => pad - overhangOf(attributes, axis))];
    if (dilations.some((dilation) => dilation > 1)) avgPool2d.forward(emit, part);
    else emit.setOutput(0, averagePool(emit, part, pads, 'overhang' in attributes));
  },
  /** Each place hands an equal share back to its taps: a transposed convolution of every plane with one constant kernel. */
  backward(emit, part) {
    const window = windowOf(part.signature.attributes);
    const dy = weighted(emit, emit.gradOutput(0), part);
    const [samples, channels, ...places] = dy.shape;
    const [, , ...spatial] = regionShape(part.inputs[0]!);
    const planes = samples! * channels!;
    const inputs = [emit.reshape(dy, [planes, 1, ...places]), meanKernel(emit, window, 1)];
    const spread = emit.node('ConvTranspose', inputs, [planes, 1, ...spatial], windowAttributes(window, part));
    emit.setGradInput(0, emit.reshape(spread, [samples!, channels!, ...spatial]));
  },
};

/** With pads as ONNX writes them, all taps counted as the op says; the output rounded up where `ceil` is true. */
function averagePool(emit: Emitter, part: Part, pads: readonly number[], ceil: boolean = false): Value {
  const { kernel, strides } = windowOf(part.signature.attributes);
  return emit.node('AveragePool', [emit.input(0)], regionShape(part.output), {
    kernel_shape: ints(kernel),
    strides: ints(strides),
    pads: ints(pads),
    count_include_pad: int(part.signature.attributes['countIncludePad'] === true ? 1 : 0),
    ...(ceil ? { ceil_mode: int(1) } : {}),
  });
}

/** The mean over all taps, those in the padding being zeros. */
function meanByConv(emit: Emitter, window: Window, part: Part): Value {
  const channels = emit.input(0).shape[1]!;
  const inputs = [emit.input(0), meanKernel(emit, window, channels)];
  return emit.node('Conv', inputs, regionShape(part.output), {
    ...windowAttributes(window, part),
    group: int(channels),
  });
}

/** [channels, 1, ...kernel] of 1 / taps. */
function meanKernel(emit: Emitter, window: Window, channels: number): Value {
  const taps = tapCount(window);
  return emit.floats(
    [channels, 1, ...window.kernel],
    Array.from({ length: channels * taps }, () => 1 / taps),
  );
}

/** Each place times the share that all taps have in those that count: 1 where all count. */
function weighted(emit: Emitter, mean: Value, part: Part): Value {
  const window = windowOf(part.signature.attributes);
  const shares = window.kernel.map((taps, axis) =>
    countedTaps(window, part, axis).map((counted) => taps / Math.max(1, counted)),
  );
  if (shares.every((axis) => axis.every((share) => share === 1))) return mean;
  const places = shares.reduce<number[]>((all, axis) => all.flatMap((a) => axis.map((b) => a * b)), [1]);
  return emit.node('Mul', [mean, emit.floats([1, 1, ...mean.shape.slice(2)], places)], mean.shape);
}

/** Of each place of the part along one axis, the taps that its mean is taken over. */
function countedTaps(window: Window, { signature, output }: Part, axis: number): number[] {
  const extent = signature.inputs[0]![axis + 2]!;
  const [begin, end] = [window.padsBegin[axis]!, window.padsEnd[axis]!];
  const [low, high]: Interval =
    signature.attributes['countIncludePad'] === true
      ? [-begin, extent + end - overhangOf(signature.attributes, axis)]
      : [0, extent];
  const [start, stop] = output[axis + 2]!;
  return Array.from({ length: stop - start }, (_, place) => {
    const first = (start + place) * window.strides[axis]! - begin;
    let counted = 0;
    for (let tap = 0; tap < window.kernel[axis]!; tap++) {
      const at = first + tap * window.dilations[axis]!;
      if (at >= low && at < high) counted++;
    }
    return counted;
  });
}

function overhangOf(attributes: Attributes, axis: number): number {
  return 'overhang' in attributes ? numbersAttribute(attributes, 'overhang')[axis]! : 0;
}

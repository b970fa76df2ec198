import type { OnnxAttribute } from '../onnx/model.ts';
import type { Interval, Region } from '../strategy/region.ts';
import { regionShape, regionVolume } from '../strategy/region.ts';
import type { Emitter, Value } from './emitter.ts';
import { int, ints } from './emitter.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError } from './op.ts';
import type { Window } from './window.ts';
import { partPads, windowFromOnnx, windowInput, windowOf, windowOutput } from './window.ts';

const [X, WEIGHT, BIAS] = [0, 1, 2];

/** Kernels of more taps than this take the convolution form of dW: the unfolded input would be that many times the input. */
const MAX_UNFOLDED_TAPS = 49;

/**
 * 2D convolution: x [N, C, H, W], W [O, C / groups, kh, kw], b [O] -> [N, O, H', W'].
 * Sample; height and width as attributes (with halos); channel splits W and b (paper, Table 1), between groups where there
 * are several, and then x as well.
 */
export const conv2d: OpDefinition = {
  kind: 'conv2d',
  onnxTypes: ['Conv'],
  fromOnnx(node, context) {
    const group = node.attributes['group'];
    const hasBias = node.inputs.length > BIAS && node.inputs[BIAS] !== '';
    return {
      attributes: {
        ...windowFromOnnx(node, context.shape(X), context.shape(WEIGHT).slice(2)),
        groups: group?.type === 'int' ? group.value : 1,
      },
      inputs: hasBias ? [X, WEIGHT, BIAS] : [X, WEIGHT],
    };
  },
  outputShapes([x, weight, bias], attributes) {
    const window = windowOf(attributes);
    if (x?.length !== 4 || weight?.length !== 4) {
      throw new OpError(`Conv has inputs of shapes [${x}] and [${weight}]; expected [N, C, H, W] and [O, C, kh, kw]`);
    }
    const groups = numberAttribute(attributes, 'groups');
    if (x[1]! % groups !== 0 || weight[0]! % groups !== 0) {
      throw new OpError(
        `Conv has ${x[1]} input and ${weight[0]} output channels; expected multiples of its ${groups} groups`,
      );
    }
    if (weight[1] !== x[1]! / groups) {
      throw new OpError(`Conv has an input of ${x[1]} channels; its weight expects ${weight[1]! * groups}`);
    }
    if (String(weight.slice(2)) !== String(window.kernel)) {
      throw new OpError(`Conv has kernel_shape [${window.kernel}]; its weight has [${weight.slice(2)}]`);
    }
    if (bias !== undefined && bias[0] !== weight[0]) {
      throw new OpError(`Conv has a bias of ${bias[0]}; its weight gives ${weight[0]} channels`);
    }
    return [[x[0]!, weight[0]!, ...windowOutput(window, x.slice(2))]];
  },
  dimensions({ outputs, attributes }): readonly Dimension[] {
    const groups = numberAttribute(attributes, 'groups');
    const [samples, channels, height, width] = outputs[0]!;
    return [
      { name: 'sample', kind: 'sample', size: samples!, axis: 0 },
      { name: 'channel', kind: 'parameter', size: groups > 1 ? groups : channels!, axis: 1 },
      { name: 'height', kind: 'attribute', size: height!, axis: 2 },
      { name: 'width', kind: 'attribute', size: width!, axis: 3 },
    ];
  },
  inputRegion({ inputs, outputs, attributes }, output, input): Region {
    const shape = inputs[input]!;
    if (input === BIAS) return [output[1]!];
    if (input === WEIGHT) return [output[1]!, [0, shape[1]!], [0, shape[2]!], [0, shape[3]!]];
    const channels = groupChannels(outputs[0]![1]!, shape[1]!, numberAttribute(attributes, 'groups'), output[1]!);
    return [output[0]!, channels, ...windowInput(windowOf(attributes), output.slice(2), shape.slice(2))];
  },
  forwardFlops: (part) => 2 * multiplyAdds(part),
  backwardFlops: (part) => 4 * multiplyAdds(part),
  forward(emit, part) {
    const inputs = [emit.input(X), emit.input(WEIGHT)];
    if (emit.reads(BIAS)) inputs.push(emit.input(BIAS));
    emit.setOutput(0, emit.node('Conv', inputs, regionShape(part.output), convAttributes(part)));
  },
  backward(emit, part) {
    const dy = emit.gradOutput(0);
    if (emit.wantsGradInput(X)) {
      const shape = regionShape(part.inputs[X]!);
      emit.setGradInput(X, emit.node('ConvTranspose', [dy, emit.input(WEIGHT)], shape, convAttributes(part)));
    }
    if (emit.wantsGradInput(WEIGHT)) {
      const taps = windowOf(part.signature.attributes).kernel.reduce((a, b) => a * b, 1);
      emit.setGradInput(
        WEIGHT,
        taps > MAX_UNFOLDED_TAPS ? weightGradByConv(emit, part) : weightGradByUnfolding(emit, part),
      );
    }
    if (emit.wantsGradInput(BIAS)) emit.setGradInput(BIAS, emit.reduceSum(dy, [0, 2, 3]));
  },
};

/**
 * The window as ONNX attributes, with the pads that remain around the part. The input box of a part ends at the last tap
 * of its last window, so the transposed convolution gives back exactly that box, without output padding.
 */
function convAttributes(part: Part): Record<string, OnnxAttribute> {
  const window = windowOf(part.signature.attributes);
  return {
    kernel_shape: ints(window.kernel),
    strides: ints(window.strides),
    dilations: ints(window.dilations),
    pads: ints(partPads(window, part)),
    group: int(partGroups(part)),
  };
}

/** The input channels of the groups that an interval of output channels belongs to. */
function groupChannels(outChannels: number, inChannels: number, groups: number, [start, end]: Interval): Interval {
  const [outPerGroup, inPerGroup] = [outChannels / groups, inChannels / groups];
  return [Math.floor(start / outPerGroup) * inPerGroup, Math.ceil(end / outPerGroup) * inPerGroup];
}

/** Groups within a part: all of the op's, or one where a part lies inside a group. */
function partGroups({ inputs, signature }: Part): number {
  const [start, end] = inputs[X]![1]!;
  return (end - start) / signature.inputs[WEIGHT]![1]!;
}

/** dW as a convolution of x by dy with samples and channels swapped, and strides and dilations swapped. */
function weightGradByConv(emit: Emitter, part: Part): Value {
  const window = windowOf(part.signature.attributes);
  const [channels, , kernelHeight, kernelWidth] = emit.transpose(emit.input(WEIGHT), [1, 0, 2, 3]).shape;
  const x = emit.transpose(emit.input(X), [1, 0, 2, 3]);
  const dy = emit.transpose(emit.gradOutput(0), [1, 0, 2, 3]);
  const shape = [channels!, dy.shape[0]!, kernelHeight!, kernelWidth!];
  const product = emit.node('Conv', [x, dy], shape, {
    kernel_shape: ints(dy.shape.slice(2)),
    strides: ints(window.dilations),
    dilations: ints(window.strides),
    pads: ints(partPads(window, part)),
  });
  return emit.transpose(product, [1, 0, 2, 3]);
}

/** dW as one matrix product per sample over the unfolded input (im2col), then the sum over samples. */
function weightGradByUnfolding(emit: Emitter, part: Part): Value {
  const window = windowOf(part.signature.attributes);
  const dy = emit.gradOutput(0);
  const [samples, outChannels, height, width] = dy.shape;
  const positions = height! * width!;
  const groups = partGroups(part);
  const outPerGroup = outChannels! / groups;
  const unfolded = unfold(emit, window, padded(emit, window, part), [height!, width!]);
  const rows = rowsByGroup(emit, unfolded, window, groups);
  const flatDy = emit.reshape(dy, [samples!, groups, outPerGroup, positions]);
  const shape = [samples!, groups, outPerGroup, rows.shape[2]!];
  const product = emit.node('FusedMatMul', [flatDy, rows], shape, { transB: int(1) }, { domain: 'com.microsoft' });
  const summed = emit.reduceSum(product, [0]);
  const channels = part.signature.inputs[WEIGHT]![1]!;
  const byTap = emit.reshape(summed, [outChannels!, window.kernel[0]!, window.kernel[1]!, channels]);
  return emit.transpose(byTap, [0, 3, 1, 2]);
}

/** [N, taps * C, H', W'] -> [N, groups, taps * C / groups, H' * W']. */
function rowsByGroup(emit: Emitter, unfolded: Value, { kernel }: Window, groups: number): Value {
  const [samples, rows, height, width] = unfolded.shape;
  const positions = height! * width!;
  const taps = kernel[0]! * kernel[1]!;
  const shape = [samples!, groups, rows! / groups, positions];
  if (groups === 1) return emit.reshape(unfolded, shape);
  const byTap = emit.reshape(unfolded, [samples!, taps, groups, rows! / taps / groups, positions]);
  return emit.reshape(emit.transpose(byTap, [0, 2, 1, 3, 4]), shape);
}

function padded(emit: Emitter, window: Window, part: Part): Value {
  const x = emit.input(X);
  const [top, left, bottom, right] = partPads(window, part);
  if (top === 0 && left === 0 && bottom === 0 && right === 0) return x;
  const shape = [x.shape[0]!, x.shape[1]!, x.shape[2]! + top! + bottom!, x.shape[3]! + left! + right!];
  return emit.node('Pad', [x, emit.ints([0, 0, top!, left!, 0, 0, bottom!, right!]), emit.scalar(0)], shape);
}

/** [N, taps * C, H', W']: per tap, the elements it meets; taps outermost. */
function unfold(emit: Emitter, window: Window, x: Value, spatial: readonly [number, number]): Value {
  const taps: Value[] = [];
  const shape = [x.shape[0]!, x.shape[1]!, ...spatial];
  for (let row = 0; row < window.kernel[0]!; row++) {
    for (let column = 0; column < window.kernel[1]!; column++) {
      const starts = [row * window.dilations[0]!, column * window.dilations[1]!];
      const ends = starts.map((start, i) => start + (spatial[i]! - 1) * window.strides[i]! + 1);
      const bounds = [starts, ends, [2, 3], window.strides].map((values) => emit.ints(values));
      taps.push(emit.node('Slice', [x, ...bounds], shape));
    }
  }
  return taps.length === 1
    ? taps[0]!
    : emit.node('Concat', taps, [shape[0]!, taps.length * shape[1]!, ...spatial], { axis: int(1) });
}

function multiplyAdds({ output, signature }: Part): number {
  const [, channels, height, width] = signature.inputs[WEIGHT]!;
  return regionVolume(output) * channels! * height! * width!;
}

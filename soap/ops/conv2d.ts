import type { OnnxAttribute, OnnxNode } from '../onnx/model.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import { convWeightGradient } from './conv-weight-gradient.ts';
import type { Emitter } from './emitter.ts';
import { int } from './emitter.ts';
import type { Dimension, ImportContext, OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError } from './op.ts';
import { windowAttributes } from './pooling.ts';
import { spatialAxes, spatialDimensions } from './spatial.ts';
import { partPads, windowFromOnnx, windowInput, windowOf, windowOutput, windowUnits } from './window.ts';

const [X, WEIGHT, BIAS] = [0, 1, 2];

/**
 * Convolution with one to three spatial axes: x [N, C, ...], W [O, C / groups, ...kernel], b [O] -> [N, O, ...].
 * Sample; the spatial axes as attributes (with halos); channel splits W and b (paper, Table 1), between groups where there
 * are several, and then x as well. Beyond the paper, inputChannel splits the sum over the input channels of a single group.
 */
export const conv2d: OpDefinition = {
  kind: 'conv2d',
  onnxTypes: ['Conv'],
  fromOnnx(node, context) {
    const group = node.attributes['group'];
    return {
      attributes: {
        ...windowFromOnnx(node, context.shape(X), context.shape(WEIGHT).slice(2)),
        groups: group?.type === 'int' ? group.value : 1,
      },
      inputs: hasBias(node, context, BIAS) ? [X, WEIGHT, BIAS] : [X, WEIGHT],
    };
  },
  weightInputs: [WEIGHT, BIAS],
  outputShapes([x, weight, bias], attributes) {
    const window = windowOf(attributes);
    const rank = window.kernel.length + 2;
    if (x?.length !== rank || weight?.length !== rank) {
      throw new OpError(
        `Conv has inputs of shapes [${x}] and [${weight}]; expected [N, C, ...] and [O, C, ...kernel] of rank ${rank}`,
      );
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
  dimensions({ inputs, outputs, attributes }): readonly Dimension[] {
    const groups = numberAttribute(attributes, 'groups');
    const shape = outputs[0]!;
    const spatial = windowUnits(windowOf(attributes), shape.slice(2));
    if (groups > 1) return spatialDimensions(shape, { channel: 'parameter', channels: groups, spatial });
    return [
      ...spatialDimensions(shape, { channel: 'parameter', spatial }),
      { name: 'inputChannel', kind: 'reduction', size: inputs[X]![1]!, axis: undefined },
    ];
  },
  inputRegion({ inputs, outputs, attributes }, output, input, ranges): Region | undefined {
    const shape = inputs[input]!;
    const groups = numberAttribute(attributes, 'groups');
    const summed: Interval = groups > 1 ? [0, inputs[WEIGHT]![1]!] : ranges.at(-1)!;
    // One of the partial sums has the bias.
    if (input === BIAS) return summed[0] === 0 ? [output[1]!] : undefined;
    if (input === WEIGHT) return [output[1]!, summed, ...shape.slice(2).map((extent): Interval => [0, extent])];
    const channels = groups > 1 ? groupChannels(outputs[0]![1]!, shape[1]!, output[1]!) : summed;
    return [output[0]!, channels, ...windowInput(windowOf(attributes), output.slice(2), shape.slice(2))];
  },
  forwardFlops: (part) => 2 * multiplyAdds(part),
  backwardFlops: (part) => 4 * multiplyAdds(part),
  weightGradientFlops: (part, input) => (input === WEIGHT ? 2 * multiplyAdds(part) : 0),
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
      const window = windowOf(part.signature.attributes);
      const meeting = { window, pads: partPads(window, part), groups: partGroups(part), x: emit.input(X), places: dy };
      emit.setGradInput(WEIGHT, convWeightGradient(emit, meeting));
    }
    biasGradient(emit, BIAS);
  },
};

/**
 * Whether a convolution has a bias that is trained. PyTorch's exporter by torch.export gives those that have none one of zeros that
 * nodes make, before it optimizes.
 */
export function hasBias({ inputs }: OnnxNode, context: ImportContext, bias: number): boolean {
  if ((inputs[bias] ?? '') === '') return false;
  const made = context.trained(bias) ? undefined : context.constant(bias);
  return made === undefined || made.data.some((value) => Number(value) !== 0);
}

/**
 * Emits the gradient of a bias of channels, where it is wanted: over the places first, since ONNX Runtime does not use its
 * threads for a sum over samples and places at once.
 */
export function biasGradient(emit: Emitter, bias: number): void {
  if (!emit.wantsGradInput(bias)) return;
  const dy = emit.gradOutput(0);
  emit.setGradInput(bias, emit.reduceSum(emit.reduceSum(dy, spatialAxes(dy.shape)), [0]));
}

/**
 * The window as ONNX attributes, with the pads that remain around the part. The input box of a part ends at the last tap
 * of its last window, so the transposed convolution gives back exactly that box, without output padding.
 */
function convAttributes(part: Part): Record<string, OnnxAttribute> {
  return { ...windowAttributes(windowOf(part.signature.attributes), part), group: int(partGroups(part)) };
}

/** The input channels of the groups that an interval of output channels consists of. */
export function groupChannels(outChannels: number, inChannels: number, [start, end]: Interval): Interval {
  return [(start * inChannels) / outChannels, (end * inChannels) / outChannels];
}

/** Groups within a part. */
function partGroups({ inputs }: Part): number {
  return regionShape(inputs[X]!)[1]! / regionShape(inputs[WEIGHT]!)[1]!;
}

function multiplyAdds({ output, inputs }: Part): number {
  return regionVolume(output) * regionVolume(inputs[WEIGHT]!.slice(1));
}

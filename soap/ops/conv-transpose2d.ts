import type { Interval, Region } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import { convWeightGradient } from './conv-weight-gradient.ts';
import { biasGradient, groupChannels, hasBias } from './conv2d.ts';
import type { Emitter, Value } from './emitter.ts';
import { int, ints } from './emitter.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError } from './op.ts';
import { spatialDimensions } from './spatial.ts';
import { partCuts, spreadFromOnnx, spreadInput, spreadOutput, spreadUnits } from './spread.ts';
import { windowOf } from './window.ts';

const [X, WEIGHT, BIAS] = [0, 1, 2];

/**
 * Transposed convolution with one to three spatial axes: x [N, C, ...], W [C, O / groups, ...kernel], b [O] -> [N, O, ...].
 * Split as a convolution is: sample, the spatial axes, channel (of the output, between groups where there are several), and
 * inputChannel, the sum over the input channels of a single group. Source: ONNX ConvTranspose; torch.nn.ConvTranspose2d.
 */
export const convTranspose2d: OpDefinition = {
  kind: 'convTranspose2d',
  onnxTypes: ['ConvTranspose'],
  fromOnnx(node, context) {
    const group = node.attributes['group'];
    return {
      attributes: {
        ...spreadFromOnnx(node, context.shape(X), context.shape(WEIGHT).slice(2)),
        groups: group?.type === 'int' ? group.value : 1,
      },
      inputs: hasBias(node, context, BIAS) ? [X, WEIGHT, BIAS] : [X, WEIGHT],
    };
  },
  weightInputs: [WEIGHT, BIAS],
  outputShapes([x, weight, bias], attributes) {
    const window = windowOf(attributes);
    const groups = numberAttribute(attributes, 'groups');
    const rank = window.kernel.length + 2;
    if (x?.length !== rank || weight?.length !== rank) {
      throw new OpError(
        `ConvTranspose has inputs of shapes [${x}] and [${weight}]; expected [N, C, ...] and [C, O, ...kernel] of rank ${rank}`,
      );
    }
    if (weight[0] !== x[1] || x[1]! % groups !== 0) {
      throw new OpError(
        `ConvTranspose has ${x[1]} input channels in ${groups} groups; its weight expects ${weight[0]} channels`,
      );
    }
    if (String(weight.slice(2)) !== String(window.kernel)) {
      throw new OpError(`ConvTranspose has kernel_shape [${window.kernel}]; its weight has [${weight.slice(2)}]`);
    }
    const channels = weight[1]! * groups;
    if (bias !== undefined && bias[0] !== channels) {
      throw new OpError(`ConvTranspose has a bias of ${bias[0]}; its weight gives ${channels} channels`);
    }
    return [[x[0]!, channels, ...spreadOutput(window, x.slice(2))]];
  },
  dimensions({ inputs, outputs, attributes }): readonly Dimension[] {
    const groups = numberAttribute(attributes, 'groups');
    const shape = outputs[0]!;
    const spatial = spreadUnits(windowOf(attributes), shape.slice(2));
    if (groups > 1) return spatialDimensions(shape, { channel: 'parameter', channels: groups, spatial });
    return [
      ...spatialDimensions(shape, { channel: 'parameter', spatial }),
      { name: 'inputChannel', kind: 'reduction', size: inputs[X]![1]!, axis: undefined },
    ];
  },
  inputRegion({ inputs, outputs, attributes }, output, input, ranges): Region | undefined {
    const shape = inputs[input]!;
    const groups = numberAttribute(attributes, 'groups');
    const channels = groups > 1 ? groupChannels(outputs[0]![1]!, inputs[X]![1]!, output[1]!) : ranges.at(-1)!;
    // One of the partial sums has the bias.
    if (input === BIAS) return groups > 1 || channels[0] === 0 ? [output[1]!] : undefined;
    if (input === X)
      return [output[0]!, channels, ...spreadInput(windowOf(attributes), output.slice(2), shape.slice(2))];
    const perGroup: Interval = groups > 1 ? [0, shape[1]!] : output[1]!;
    return [channels, perGroup, ...shape.slice(2).map((extent): Interval => [0, extent])];
  },
  forwardFlops: (part) => 2 * multiplyAdds(part),
  backwardFlops: (part) => 4 * multiplyAdds(part),
  weightGradientFlops: (part, input) => (input === WEIGHT ? 2 * multiplyAdds(part) : 0),
  forward(emit, part) {
    const { kernel, strides, dilations } = windowOf(part.signature.attributes);
    const cuts = partCuts(part);
    const inputs = [emit.input(X), emit.input(WEIGHT)];
    if (emit.reads(BIAS)) inputs.push(emit.input(BIAS));
    const y = emit.node('ConvTranspose', inputs, regionShape(part.output), {
      kernel_shape: ints(kernel),
      strides: ints(strides),
      dilations: ints(dilations),
      pads: ints([...cuts.begin, ...cuts.end.map((cut) => Math.max(0, cut))]),
      output_padding: ints(cuts.end.map((cut) => Math.max(0, -cut))),
      group: int(partGroups(part)),
    });
    emit.setOutput(0, y);
  },
  backward(emit, part) {
    const window = windowOf(part.signature.attributes);
    const cuts = partCuts(part);
    const pads = [...cuts.begin, ...cuts.end.map((cut) => Math.max(0, cut))];
    const groups = partGroups(part);
    const dy = reached(emit, cuts.end);
    if (emit.wantsGradInput(X)) {
      const dx = emit.node('Conv', [dy, emit.input(WEIGHT)], regionShape(part.inputs[X]!), {
        kernel_shape: ints(window.kernel),
        strides: ints(window.strides),
        dilations: ints(window.dilations),
        pads: ints(pads),
        group: int(groups),
      });
      emit.setGradInput(X, dx);
    }
    if (emit.wantsGradInput(WEIGHT)) {
      const meeting = { window, pads, groups, x: dy, places: emit.input(X) };
      emit.setGradInput(WEIGHT, convWeightGradient(emit, meeting));
    }
    biasGradient(emit, BIAS);
  },
};

/** The output gradient without the end that no input reaches: there the cut is negative. */
function reached(emit: Emitter, cuts: readonly number[]): Value {
  const dy = emit.gradOutput(0);
  if (cuts.every((cut) => cut >= 0)) return dy;
  const extents = dy.shape.slice(2).map((extent, i) => extent + Math.min(0, cuts[i]!));
  const bounds = [extents.map(() => 0), extents, extents.map((_, i) => i + 2)].map((values) => emit.ints(values));
  return emit.node('Slice', [dy, ...bounds], [...dy.shape.slice(0, 2), ...extents]);
}

/** Groups within a part. */
function partGroups({ output, inputs }: Part): number {
  return regionShape(output)[1]! / regionShape(inputs[WEIGHT]!)[1]!;
}

function multiplyAdds({ inputs }: Part): number {
  return regionVolume(inputs[X]!) * regionVolume(inputs[WEIGHT]!.slice(1));
}

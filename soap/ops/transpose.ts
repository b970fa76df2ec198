import type { Region } from '../region/region.ts';
import { axisName } from './elementwise.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { numbersAttribute, OpError, sameDtype } from './op.ts';

/** Axes in another order: axis k of the output is axis `perm[k]` of the input. Each splits; the batch is sample wherever. */
export const transpose: OpDefinition = {
  kind: 'transpose',
  onnxTypes: ['Transpose'],
  fromOnnx(node, context) {
    const attribute = node.attributes['perm'];
    const reversed = context.shape(0).map((_, axis, shape) => shape.length - 1 - axis);
    return { attributes: { perm: attribute?.type === 'ints' ? attribute.value : reversed }, inputs: [0] };
  },
  outputShapes([shape = []], attributes) {
    const perm = numbersAttribute(attributes, 'perm');
    const axes = perm.toSorted((a, b) => a - b);
    if (axes.length !== shape.length || axes.some((axis, k) => axis !== k)) {
      throw new OpError(
        `Transpose has perm [${perm}]; its input of shape [${shape}] has axes 0 to ${shape.length - 1}`,
      );
    }
    return [perm.map((axis) => shape[axis]!)];
  },
  outputDtypes: sameDtype,
  integerInputs: 'all',
  dimensions({ outputs, attributes }): readonly Dimension[] {
    const perm = numbersAttribute(attributes, 'perm');
    return outputs[0]!.map((size, axis) => ({
      name: axisName(perm[axis]!, perm.length),
      kind: perm[axis] === 0 ? 'sample' : 'attribute',
      size,
      axis,
    }));
  },
  inputRegion({ attributes }, output): Region {
    const perm = numbersAttribute(attributes, 'perm');
    return perm.map((_, axis) => output[perm.indexOf(axis)]!);
  },
  forwardFlops: () => 0,
  backwardFlops: () => 0,
  forward: (emit, part) => emit.setOutput(0, emit.transpose(emit.input(0), permOf(part))),
  backward(emit, part) {
    const perm = permOf(part);
    const inverse = perm.map((_, axis) => perm.indexOf(axis));
    emit.setGradInput(0, emit.transpose(emit.gradOutput(0), inverse));
  },
};

function permOf({ signature }: Part): readonly number[] {
  return numbersAttribute(signature.attributes, 'perm');
}

import { float } from './emitter.ts';
import type { Normalization } from './moments.ts';
import { normalizationMembers, normalizedShape } from './normalization.ts';
import type { OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError } from './op.ts';
import { spatialDimensions } from './spatial.ts';
import { floatAttribute } from './unary.ts';

/** Each group of channels of each sample by its own moments. */
const BY_GROUP: Normalization = { perSample: true, groups: partGroups };

/**
 * Group normalization: x [N, C, ...] with one to three spatial axes, gamma [C], beta [C] -> the same shape. Channels are
 * split between groups. Source: Wu and He, "Group Normalization", 2018; ONNX GroupNormalization 21.
 */
export const groupNorm: OpDefinition = {
  kind: 'groupNorm',
  onnxTypes: ['GroupNormalization'],
  fromOnnx(node, context) {
    const groups = node.attributes['num_groups'];
    if (groups?.type !== 'int') throw new OpError('GroupNormalization has no num_groups; expected an integer');
    const [scales] = context.shape(1);
    const [, channels] = context.shape(0);
    if (scales !== channels) {
      throw new OpError(
        `GroupNormalization has ${scales} scales; expected one for each of its ${channels} channels: operator set 18 to ` +
          '20 has one for each group; export the model with 21 or newer',
      );
    }
    return { attributes: { epsilon: floatAttribute(node, 'epsilon', 1e-5), groups: groups.value }, inputs: [0, 1, 2] };
  },
  outputShapes(inputs, attributes) {
    const shape = normalizedShape('GroupNormalization', inputs, 3);
    const groups = numberAttribute(attributes, 'groups');
    if (!(groups >= 1) || shape[1]! % groups !== 0) {
      throw new OpError(`GroupNormalization has ${groups} groups; expected a divisor of its ${shape[1]} channels`);
    }
    return [shape];
  },
  dimensions: ({ outputs, attributes }) =>
    spatialDimensions(outputs[0]!, { channel: 'parameter', channels: numberAttribute(attributes, 'groups') }),
  ...normalizationMembers(BY_GROUP),
  /** Written as torch.onnx writes it: the operator set of the file has no GroupNormalization. */
  toOnnx(emit, { signature }) {
    const { attributes, inputs } = signature;
    const groups = numberAttribute(attributes, 'groups');
    const x = emit.input(0);
    const [samples, channels, ...extents] = x.shape;
    const grouped = [samples!, groups, x.shape.slice(1).reduce((a, b) => a * b, 1) / groups];
    const ofGroups = [1, 0].map((value) =>
      emit.floats(
        [groups],
        Array.from({ length: groups }, () => value),
      ),
    );
    const byGroup = emit.node('Reshape', [x, emit.ints([0, groups, -1])], grouped);
    const normalized = emit.node('InstanceNormalization', [byGroup, ...ofGroups], grouped, {
      epsilon: float(numberAttribute(attributes, 'epsilon')),
    });
    const back = emit.node('Reshape', [normalized, emit.ints([0, channels!, ...extents])], x.shape);
    const column = [channels!, ...extents.map(() => 1)];
    const [gamma, beta] = [1, 2].map((input) =>
      inputs[input]!.length === column.length ? emit.input(input) : emit.reshape(emit.input(input), column),
    );
    const scaled = emit.node('Mul', [back, gamma!], x.shape);
    emit.setOutput(0, emit.node('Add', [scaled, beta!], x.shape));
  },
};

function partGroups({ output, signature }: Part): number {
  const [start, end] = output[1]!;
  return ((end - start) * numberAttribute(signature.attributes, 'groups')) / signature.outputs[0]![1]!;
}

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
};

function partGroups({ output, signature }: Part): number {
  const [start, end] = output[1]!;
  return ((end - start) * numberAttribute(signature.attributes, 'groups')) / signature.outputs[0]![1]!;
}

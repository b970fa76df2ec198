import type { Normalization } from './moments.ts';
import { epsilonOf, normalizationMembers, normalizedShape } from './normalization.ts';
import type { OpDefinition } from './op.ts';
import { spatialDimensions } from './spatial.ts';

/** Each channel of each sample by its own moments. */
const BY_INSTANCE: Normalization = { perSample: true, groups: ({ output }) => output[1]![1] - output[1]![0] };

/**
 * Instance normalization: x [N, C, ...] with one to three spatial axes, gamma [C], beta [C] -> the same shape.
 * Source: ONNX InstanceNormalization; torch.nn.InstanceNorm2d.
 */
export const instanceNorm: OpDefinition = {
  kind: 'instanceNorm',
  onnxTypes: ['InstanceNormalization'],
  fromOnnx: (node) => ({ attributes: { epsilon: epsilonOf(node) }, inputs: [0, 1, 2] }),
  outputShapes: (inputs) => [normalizedShape('InstanceNormalization', inputs, 3)],
  dimensions: ({ outputs }) => spatialDimensions(outputs[0]!, { channel: 'parameter' }),
  ...normalizationMembers(BY_INSTANCE),
};

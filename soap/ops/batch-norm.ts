import type { Normalization } from './moments.ts';
import { epsilonOf, normalizationMembers, normalizedShape } from './normalization.ts';
import type { OpDefinition } from './op.ts';
import { spatialDimensions } from './spatial.ts';

/** Each channel by its moments over the whole batch, however that is split. */
const BY_CHANNEL: Normalization = { perSample: false, groups: ({ output }) => output[1]![1] - output[1]![0] };

/**
 * Batch normalization: x [N, C, ...] with up to three spatial axes, gamma [C], beta [C] -> the same shape. It always
 * normalizes by the moments of the whole batch; the running moments of an ONNX file are not read.
 * Source: Ioffe and Szegedy, "Batch Normalization", 2015, Algorithm 1; torch.nn.BatchNorm2d in training.
 */
export const batchNorm: OpDefinition = {
  kind: 'batchNorm',
  onnxTypes: ['BatchNormalization'],
  fromOnnx: (node) => ({ attributes: { epsilon: epsilonOf(node) }, inputs: [0, 1, 2] }),
  outputShapes: (inputs) => [normalizedShape('BatchNormalization', inputs, 2)],
  dimensions: ({ outputs }) => spatialDimensions(outputs[0]!, { channel: 'parameter' }),
  ...normalizationMembers(BY_CHANNEL),
};

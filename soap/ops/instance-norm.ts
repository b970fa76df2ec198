import { float } from './emitter.ts';
import type { Normalization } from './moments.ts';
import { normalizationMembers, normalizedShape } from './normalization.ts';
import type { OpDefinition } from './op.ts';
import { numberAttribute } from './op.ts';
import { spatialDimensions } from './spatial.ts';
import { floatAttribute } from './unary.ts';

/** Each channel of each sample by its own moments. */
const BY_INSTANCE: Normalization = { perSample: true, groups: ({ output }) => output[1]![1] - output[1]![0] };

/**
 * Instance normalization: x [N, C, ...] with one to three spatial axes, gamma [C], beta [C] -> the same shape.
 * Source: ONNX InstanceNormalization; torch.nn.InstanceNorm2d.
 */
export const instanceNorm: OpDefinition = {
  kind: 'instanceNorm',
  onnxTypes: ['InstanceNormalization'],
  fromOnnx: (node) => ({ attributes: { epsilon: floatAttribute(node, 'epsilon', 1e-5) }, inputs: [0, 1, 2] }),
  outputShapes: (inputs) => [normalizedShape('InstanceNormalization', inputs, 3)],
  dimensions: ({ outputs }) => spatialDimensions(outputs[0]!, { channel: 'parameter' }),
  ...normalizationMembers(BY_INSTANCE),
  toOnnx(emit, { signature }) {
    const inputs = [0, 1, 2].map((input) => emit.input(input));
    const epsilon = float(numberAttribute(signature.attributes, 'epsilon'));
    emit.setOutput(0, emit.node('InstanceNormalization', inputs, inputs[0]!.shape, { epsilon }));
  },
};

import { float, int } from './emitter.ts';
import type { Normalization } from './moments.ts';
import { normalizationMembers, normalizedShape } from './normalization.ts';
import type { OpDefinition } from './op.ts';
import { numberAttribute } from './op.ts';
import { spatialDimensions } from './spatial.ts';
import { floatAttribute } from './unary.ts';

/** Each channel by its moments over the whole batch, however that is split. */
const BY_CHANNEL: Normalization = { perSample: false, groups: ({ output }) => output[1]![1] - output[1]![0] };

/**
 * Batch normalization: x [N, C, ...] with up to three spatial axes, gamma [C], beta [C] -> the same shape. It always
 * normalizes by the moments of the whole batch; the running moments of an ONNX file are the model's, see Moments.
 * Source: Ioffe and Szegedy, "Batch Normalization", 2015, Algorithm 1; torch.nn.BatchNorm2d in training.
 */
export const batchNorm: OpDefinition = {
  kind: 'batchNorm',
  onnxTypes: ['BatchNormalization'],
  fromOnnx: (node) => ({ attributes: { epsilon: floatAttribute(node, 'epsilon', 1e-5) }, inputs: [0, 1, 2] }),
  outputShapes: (inputs) => [normalizedShape('BatchNormalization', inputs, 2)],
  dimensions: ({ outputs }) => spatialDimensions(outputs[0]!, { channel: 'parameter' }),
  ...normalizationMembers(BY_CHANNEL),
  /** In training mode, so that it goes on to normalize by the batch; the running moments are those of new layers. */
  toOnnx(emit, { signature }) {
    const x = emit.input(0);
    const channels = x.shape[1]!;
    const moments = [0, 1].map((value) =>
      emit.floats(
        [channels],
        Array.from({ length: channels }, () => value),
      ),
    );
    const results = [x.shape, [channels], [channels]].map((shape) => ({ dtype: 'float32' as const, shape }));
    const [y] = emit.nodes('BatchNormalization', [x, emit.input(1), emit.input(2), ...moments], results, {
      epsilon: float(numberAttribute(signature.attributes, 'epsilon')),
      training_mode: int(1),
    });
    emit.setOutput(0, y!);
  },
};

import type { Attributes } from '../graph/graph.ts';
import { float, int } from './emitter.ts';
import type { Normalization } from './moments.ts';
import { normalizeBy } from './moments.ts';
import { normalizationMembers, normalizedShape } from './normalization.ts';
import type { OpDefinition } from './op.ts';
import { numberAttribute } from './op.ts';
import { spatialDimensions } from './spatial.ts';
import { floatAttribute } from './unary.ts';

/** Each channel by its moments over the whole batch, however that is split. */
const BY_CHANNEL: Normalization = { perSample: false, groups: ({ output }) => output[1]![1] - output[1]![0] };

/** Source: ONNX BatchNormalization, attribute `momentum`; 1 - `momentum` of torch.nn.BatchNorm2d, by default. */
const USUAL_MOMENTUM = 0.9;

/** The share of the running moments that a batch leaves: ONNX' momentum, which is 1 less that of PyTorch. */
export function runningMomentum(attributes: Attributes): number {
  const { momentum } = attributes;
  return typeof momentum === 'number' ? momentum : USUAL_MOMENTUM;
}

/**
 * Batch normalization: x [N, C, ...] with up to three spatial axes, gamma [C], beta [C] -> the same shape. In
 * training it normalizes by the moments of the whole batch; the running moments of an ONNX file are the model's, see Moments.
 * Source: Ioffe and Szegedy, "Batch Normalization", 2015, Algorithm 1; torch.nn.BatchNorm2d in training.
 */
export const batchNorm: OpDefinition = {
  kind: 'batchNorm',
  onnxTypes: ['BatchNormalization'],
  fromOnnx: (node) => {
    const momentum = floatAttribute(node, 'momentum', USUAL_MOMENTUM);
    const isUsual = Math.fround(momentum) === Math.fround(USUAL_MOMENTUM);
    const epsilon = floatAttribute(node, 'epsilon', 1e-5);
    return { attributes: { epsilon, ...(isUsual ? {} : { momentum }) }, inputs: [0, 1, 2] };
  },
  outputShapes: (inputs) => [normalizedShape('BatchNormalization', inputs, 2)],
  dimensions: ({ outputs }) => spatialDimensions(outputs[0]!, { channel: 'parameter' }),
  ...normalizationMembers(BY_CHANNEL),
  /** By the running moments. Source: torch.nn.BatchNorm2d in evaluation. */
  inference: (emit, part) => normalizeBy(BY_CHANNEL, emit, part, [emit.saved(0), emit.saved(1)]),
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
      momentum: float(runningMomentum(signature.attributes)),
      training_mode: int(1),
    });
    emit.setOutput(0, y!);
  },
};

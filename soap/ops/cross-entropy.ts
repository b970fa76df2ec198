import { regionVolume } from '../strategy/region.ts';
import { int } from './emitter.ts';
import type { Dimension, OpDefinition } from './op.ts';
import { numberAttribute, OpError } from './op.ts';

const [LOGITS, TARGETS] = [0, 1];

/**
 * The loss -log softmax(logits)[target] of each sample: logits [N, classes], targets [N] class indices -> [N].
 * The job's loss is the mean; `scale` (1 / N of the whole batch) carries it into the gradient. Source:
 * torch.nn.CrossEntropyLoss with reduction 'mean'.
 */
export const crossEntropy: OpDefinition = {
  kind: 'crossEntropy',
  onnxTypes: [],
  fromOnnx() {
    throw new OpError('internal: a loss is attached by the job, not imported');
  },
  outputShapes([logits, targets]) {
    if (logits?.length !== 2) throw new OpError(`crossEntropy has logits of shape [${logits}]; expected [N, classes]`);
    if (String(targets) !== String([logits[0]])) {
      throw new OpError(`crossEntropy has targets of shape [${targets}]; expected [${logits[0]}]`);
    }
    return [[logits[0]!]];
  },
  dimensions: ({ outputs }): readonly Dimension[] => [
    { name: 'sample', kind: 'sample', size: outputs[0]![0]!, axis: 0 },
  ],
  inputRegion({ inputs }, output, input) {
    return input === LOGITS ? [output[0]!, [0, inputs[LOGITS]![1]!]] : [output[0]!];
  },
  forwardFlops: (part) => 8 * regionVolume(part.inputs[LOGITS]!),
  backwardFlops: (part) => 4 * regionVolume(part.inputs[LOGITS]!),
  forward(emit) {
    const logits = emit.input(LOGITS);
    const samples = logits.shape[0]!;
    const logProbabilities = emit.node('LogSoftmax', [logits], logits.shape, { axis: int(1) });
    const targets = emit.reshape(emit.input(TARGETS), [samples, 1]);
    const chosen = emit.node('GatherElements', [logProbabilities, targets], [samples, 1], { axis: int(1) });
    emit.setOutput(0, emit.reshape(emit.node('Neg', [chosen], chosen.shape), [samples]));
    emit.save(0, logProbabilities);
  },
  backward(emit, { signature }) {
    const logProbabilities = emit.saved(0);
    const [samples] = logProbabilities.shape;
    const probabilities = emit.node('Exp', [logProbabilities], logProbabilities.shape);
    const targets = emit.reshape(emit.input(TARGETS), [samples!, 1]);
    const minusOne = emit.node('Expand', [emit.scalar(-1), emit.ints([samples!, 1])], [samples!, 1]);
    const difference = emit.node('ScatterElements', [probabilities, targets, minusOne], logProbabilities.shape, {
      axis: int(1),
      reduction: { type: 'string', value: 'add' },
    });
    const scale = emit.scalar(numberAttribute(signature.attributes, 'scale'));
    emit.setGradInput(LOGITS, emit.node('Mul', [difference, scale], logProbabilities.shape));
  },
};

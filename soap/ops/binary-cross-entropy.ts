import { regionShape } from '../region/region.ts';
import { asFloats } from './cross-entropy-rows.ts';
import { elementwiseDimensions, elementwiseFlops } from './elementwise.ts';
import { requireTargets, TARGETS_INPUT, targetRegion } from './loss-targets.ts';
import type { OpDefinition } from './op.ts';
import { numberAttribute, OpError } from './op.ts';

/**
 * The loss -y log(sigmoid(x)) - (1 - y) log(1 - sigmoid(x)) of each element: logits x and targets y in [0, 1] of one shape ->
 * loss and correct, 1 where the logit is above 0 and the target above 0.5, or neither. `scale` (1 / their number in the whole
 * batch) carries the mean into the gradient; `start` makes axis 1 a piece of longer targets.
 *
 * It is computed as max(x, 0) - x y + log(1 + exp(-|x|)), which does not overflow. Source: torch.nn.BCEWithLogitsLoss.
 */
export const binaryCrossEntropy: OpDefinition = {
  kind: 'binaryCrossEntropy',
  onnxTypes: [],
  fromOnnx() {
    throw new OpError('internal: a loss is attached by the job, not imported');
  },
  outputShapes([logits, targets], attributes) {
    requireTargets('binaryCrossEntropy', targets, logits!, attributes);
    return [logits!, logits!];
  },
  dimensions: elementwiseDimensions,
  inputRegion: ({ attributes }, output, input) => (input === TARGETS_INPUT ? targetRegion(attributes, output) : output),
  forwardFlops: elementwiseFlops(8),
  backwardFlops: elementwiseFlops(4),
  forward(emit, { output }) {
    const shape = regionShape(output);
    const [x, y] = [emit.input(0), emit.input(TARGETS_INPUT)];
    const magnitude = emit.node('Abs', [x], shape);
    const decay = emit.node('Exp', [emit.node('Neg', [magnitude], shape)], shape);
    const rest = emit.node('Log', [emit.node('Add', [emit.scalar(1), decay], shape)], shape);
    const linear = emit.node('Sub', [emit.node('Relu', [x], shape), emit.node('Mul', [x, y], shape)], shape);
    emit.setOutput(0, emit.node('Add', [linear, rest], shape));
    const [says, is] = [
      emit.node('Greater', [x, emit.scalar(0)], shape, {}, { dtype: 'bool' }),
      emit.node('Greater', [y, emit.scalar(0.5)], shape, {}, { dtype: 'bool' }),
    ];
    const difference = emit.node('Sub', [asFloats(emit, says), asFloats(emit, is)], shape);
    emit.setOutput(1, emit.node('Sub', [emit.scalar(1), emit.node('Abs', [difference], shape)], shape));
  },
  backward(emit, { signature }) {
    const [x, y] = [emit.input(0), emit.input(TARGETS_INPUT)];
    const difference = emit.node('Sub', [emit.node('Sigmoid', [x], x.shape), y], x.shape);
    const scale = emit.scalar(numberAttribute(signature.attributes, 'scale'));
    emit.setGradInput(0, emit.node('Mul', [difference, scale], x.shape));
  },
};

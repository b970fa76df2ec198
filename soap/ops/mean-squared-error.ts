import { elementwiseDimensions, elementwiseFlops } from './elementwise.ts';
import { requireTargets, TARGETS_INPUT, targetRegion } from './loss-targets.ts';
import type { OpDefinition } from './op.ts';
import { numberAttribute, OpError } from './op.ts';

/**
 * The squared error of each element, predictions and targets of one shape. The job's loss is the mean over all elements;
 * `scale` (1 / their number in the whole batch) carries it into the gradient; `start` makes axis 1 a piece of longer targets.
 * Source: torch.nn.MSELoss.
 */
export const meanSquaredError: OpDefinition = {
  kind: 'meanSquaredError',
  onnxTypes: [],
  fromOnnx() {
    throw new OpError('internal: a loss is attached by the job, not imported');
  },
  outputShapes([predictions, targets], attributes) {
    requireTargets('meanSquaredError', targets, predictions!, attributes);
    return [predictions!];
  },
  dimensions: elementwiseDimensions,
  inputRegion: ({ attributes }, output, input) => (input === TARGETS_INPUT ? targetRegion(attributes, output) : output),
  forwardFlops: elementwiseFlops(2),
  backwardFlops: elementwiseFlops(1),
  forward(emit) {
    const y = emit.input(0);
    const difference = emit.node('Sub', [y, emit.input(TARGETS_INPUT)], y.shape);
    emit.setOutput(0, emit.node('Mul', [difference, difference], y.shape));
    emit.save(0, difference);
  },
  backward(emit, { signature }) {
    const difference = emit.saved(0);
    const slope = emit.scalar(2 * numberAttribute(signature.attributes, 'scale'));
    emit.setGradInput(0, emit.node('Mul', [difference, slope], difference.shape));
  },
};

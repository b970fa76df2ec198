import { elementwiseDimensions, elementwiseFlops, sameInputRegion, sameOutputShape } from './elementwise.ts';
import type { OpDefinition } from './op.ts';
import { numberAttribute, OpError } from './op.ts';

/**
 * The squared error of each element, predictions and targets of one shape. The job's loss is the mean over all elements;
 * `scale` (1 / their number in the whole batch) carries it into the gradient. Source: torch.nn.MSELoss.
 */
export const meanSquaredError: OpDefinition = {
  kind: 'meanSquaredError',
  onnxTypes: [],
  fromOnnx() {
    throw new OpError('internal: a loss is attached by the job, not imported');
  },
  outputShapes(inputs) {
    if (String(inputs[0]) !== String(inputs[1])) {
      throw new OpError(`meanSquaredError has targets of shape [${inputs[1]}]; expected [${inputs[0]}]`);
    }
    return sameOutputShape(inputs);
  },
  dimensions: elementwiseDimensions,
  inputRegion: sameInputRegion,
  forwardFlops: elementwiseFlops(2),
  backwardFlops: elementwiseFlops(1),
  forward(emit) {
    const y = emit.input(0);
    const difference = emit.node('Sub', [y, emit.input(1)], y.shape);
    emit.setOutput(0, emit.node('Mul', [difference, difference], y.shape));
    emit.save(0, difference);
  },
  backward(emit, { signature }) {
    const difference = emit.saved(0);
    const slope = emit.scalar(2 * numberAttribute(signature.attributes, 'scale'));
    emit.setGradInput(0, emit.node('Mul', [difference, slope], difference.shape));
  },
};

import { elementwiseDimensions, elementwiseFlops, sameInputRegion, sameOutputShape } from './elementwise.ts';
import type { OpDefinition } from './op.ts';

/** y = 1 / (1 + exp(-x)); dx = dy * y * (1 - y). */
export const sigmoid: OpDefinition = {
  kind: 'sigmoid',
  onnxTypes: ['Sigmoid'],
  fromOnnx: () => ({ attributes: {}, inputs: [0] }),
  outputShapes: sameOutputShape,
  dimensions: elementwiseDimensions,
  inputRegion: sameInputRegion,
  forwardFlops: elementwiseFlops(8),
  backwardFlops: elementwiseFlops(3),
  forward(emit) {
    const x = emit.input(0);
    emit.setOutput(0, emit.node('Sigmoid', [x], x.shape));
  },
  backward(emit) {
    const y = emit.output(0);
    const rest = emit.node('Sub', [emit.scalar(1), y], y.shape);
    const slope = emit.node('Mul', [y, rest], y.shape);
    emit.setGradInput(0, emit.node('Mul', [emit.gradOutput(0), slope], y.shape));
  },
};

import { elementwiseDimensions, elementwiseFlops, sameInputRegion, sameOutputShape } from './elementwise.ts';
import type { OpDefinition } from './op.ts';

/** y = tanh(x); dx = dy * (1 - y^2). */
export const tanh: OpDefinition = {
  kind: 'tanh',
  onnxTypes: ['Tanh'],
  fromOnnx: () => ({ attributes: {}, inputs: [0] }),
  outputShapes: sameOutputShape,
  dimensions: elementwiseDimensions,
  inputRegion: sameInputRegion,
  forwardFlops: elementwiseFlops(8),
  backwardFlops: elementwiseFlops(3),
  forward(emit) {
    const x = emit.input(0);
    emit.setOutput(0, emit.node('Tanh', [x], x.shape));
  },
  backward(emit) {
    const y = emit.output(0);
    const squared = emit.node('Mul', [y, y], y.shape);
    const slope = emit.node('Sub', [emit.scalar(1), squared], y.shape);
    emit.setGradInput(0, emit.node('Mul', [emit.gradOutput(0), slope], y.shape));
  },
};

import { elementwiseDimensions, elementwiseFlops, sameInputRegion, sameOutputShape } from './elementwise.ts';
import type { OpDefinition } from './op.ts';

/** y = max(x, 0). The gradient at 0 is 0, as in PyTorch. */
export const relu: OpDefinition = {
  kind: 'relu',
  onnxTypes: ['Relu'],
  fromOnnx: () => ({ attributes: {}, inputs: [0] }),
  outputShapes: sameOutputShape,
  dimensions: elementwiseDimensions,
  inputRegion: sameInputRegion,
  forwardFlops: elementwiseFlops(1),
  backwardFlops: elementwiseFlops(1),
  forward(emit) {
    const x = emit.input(0);
    emit.setOutput(0, emit.node('Relu', [x], x.shape));
  },
  backward(emit) {
    const y = emit.output(0);
    const positive = emit.node('Greater', [y, emit.scalar(0)], y.shape, {}, { dtype: 'bool' });
    const dy = emit.gradOutput(0);
    emit.setGradInput(0, emit.node('Where', [positive, dy, emit.scalar(0)], y.shape, {}, { dtype: 'float32' }));
  },
};

import { elementwiseDimensions, elementwiseFlops, sameInputRegion, sameOutputShape } from './elementwise.ts';
import type { OpDefinition } from './op.ts';
import { OpError } from './op.ts';

/** y = a + b, of equal shapes: the shortcut of a residual block. */
export const add: OpDefinition = {
  kind: 'add',
  onnxTypes: ['Add'],
  fromOnnx: () => ({ attributes: {}, inputs: [0, 1] }),
  outputShapes(inputs) {
    const [a, b] = inputs;
    if (String(a) !== String(b)) {
      throw new OpError(
        `Add has inputs of shapes [${a}] and [${b}]; expected equal shapes (broadcasting is not covered)`,
      );
    }
    return sameOutputShape(inputs);
  },
  dimensions: elementwiseDimensions,
  inputRegion: sameInputRegion,
  forwardFlops: elementwiseFlops(1),
  backwardFlops: () => 0,
  forward(emit) {
    const a = emit.input(0);
    emit.setOutput(0, emit.node('Add', [a, emit.input(1)], a.shape));
  },
  backward(emit) {
    const dy = emit.gradOutput(0);
    for (const index of [0, 1]) if (emit.wantsGradInput(index)) emit.setGradInput(index, dy);
  },
};

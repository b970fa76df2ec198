import { elementwiseDimensions, sameInputRegion, sameOutputShape } from './elementwise.ts';
import type { OpDefinition } from './op.ts';
import { OpError } from './op.ts';
import { regionVolume } from '../region/region.ts';

/** Sum of any number of tensors of one shape. */
export const sum: OpDefinition = {
  kind: 'sum',
  onnxTypes: ['Sum'],
  fromOnnx: (node) => ({ attributes: {}, inputs: [...node.inputs.keys()] }),
  outputShapes(inputs) {
    if (inputs.length === 0 || new Set(inputs.map(String)).size > 1) {
      throw new OpError(
        `Sum has inputs of shapes ${inputs.map((shape) => `[${shape}]`).join(', ')}; expected one shape`,
      );
    }
    return sameOutputShape(inputs);
  },
  dimensions: elementwiseDimensions,
  inputRegion: sameInputRegion,
  forwardFlops: (part) => (part.inputs.length - 1) * regionVolume(part.output),
  backwardFlops: () => 0,
  forward(emit, { inputs }) {
    const values = inputs.map((_, index) => emit.input(index));
    emit.setOutput(0, emit.node('Sum', values, values[0]!.shape));
  },
  backward(emit, { inputs }) {
    for (const index of inputs.keys()) if (emit.wantsGradInput(index)) emit.setGradInput(index, emit.gradOutput(0));
  },
};

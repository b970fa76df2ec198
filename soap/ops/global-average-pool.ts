import type { Interval } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import type { Dimension, OpDefinition, OpSignature } from './op.ts';
import { OpError } from './op.ts';
import { MAX_SPATIAL, spatialDimensions } from './spatial.ts';

/**
 * Mean of each plane: [N, C, ...] -> [N, C, 1, ...] with one to three spatial axes. Those are what it sums over, so that
 * parts of a plane hold their shares of its mean.
 */
export const globalAveragePool: OpDefinition = {
  kind: 'globalAveragePool',
  onnxTypes: ['GlobalAveragePool'],
  fromOnnx: () => ({ attributes: {}, inputs: [0] }),
  outputShapes([x]) {
    if (x === undefined || x.length < 3 || x.length > 2 + MAX_SPATIAL) {
      throw new OpError(
        `GlobalAveragePool has an input of shape [${x}]; expected [N, C, ...] with 1 to ${MAX_SPATIAL} axes more`,
      );
    }
    return [x.map((extent, axis) => (axis < 2 ? extent : 1))];
  },
  dimensions: ({ inputs }) =>
    spatialDimensions(inputs[0]!, { channel: 'attribute' }).map((dimension): Dimension => {
      const summed = dimension.axis! >= 2;
      return summed ? { ...dimension, kind: 'reduction', axis: undefined } : dimension;
    }),
  inputRegion: (_signature, output, _input, ranges) => [output[0]!, output[1]!, ...ranges.slice(2)],
  forwardFlops: (part) => regionVolume(part.inputs[0]!),
  backwardFlops: (part) => regionVolume(part.inputs[0]!),
  forward(emit, { signature, ranges, output }) {
    const mean = emit.node('GlobalAveragePool', [emit.input(0)], regionShape(output));
    const share = regionVolume(ranges.slice(2)) / planeSize(signature);
    emit.setOutput(0, share === 1 ? mean : emit.node('Mul', [mean, emit.scalar(share)], mean.shape));
  },
  backward(emit, { signature, inputs }) {
    const dy = emit.gradOutput(0);
    const each = emit.node('Mul', [dy, emit.scalar(1 / planeSize(signature))], dy.shape);
    const shape = regionShape(inputs[0]!);
    emit.setGradInput(0, emit.node('Expand', [each, emit.ints(shape)], shape));
  },
};

function planeSize({ inputs }: OpSignature): number {
  return regionVolume(inputs[0]!.slice(2).map((extent): Interval => [0, extent]));
}

import { regionShape, regionVolume } from '../strategy/region.ts';
import { ints } from './emitter.ts';
import type { OpDefinition } from './op.ts';
import { OpError } from './op.ts';
import {
  poolDimensions,
  poolFlops,
  poolFromOnnx,
  poolInputRegion,
  poolOutputShape,
  windowAttributes,
} from './pooling.ts';
import { windowOf } from './window.ts';

/**
 * Largest element of each window of [N, C, ...] with one to three spatial axes; of equal ones the first gets the gradient,
 * as in PyTorch.
 */
export const maxPool2d: OpDefinition = {
  kind: 'maxPool2d',
  onnxTypes: ['MaxPool', 'GlobalMaxPool'],
  fromOnnx(node, context) {
    const shape = context.shape(0);
    const wholePlanes = { kernel_shape: ints(shape.slice(2)) };
    if (node.outputs.length > 1 && node.outputs[1] !== '')
      throw new OpError('MaxPool returns Indices; expected the values only');
    const { overhang: _, ...window } = poolFromOnnx(
      node.opType === 'GlobalMaxPool' ? { ...node, attributes: wholePlanes } : node,
      shape,
    );
    return { attributes: { ...window }, inputs: [0] };
  },
  outputShapes: ([x], attributes) => [poolOutputShape('MaxPool', x, attributes)],
  dimensions: poolDimensions,
  inputRegion: poolInputRegion,
  forwardFlops: poolFlops,
  backwardFlops: (part) => regionVolume(part.output),
  forward(emit, part) {
    const shape = regionShape(part.output);
    const [values, indices] = emit.nodes(
      'MaxPool',
      [emit.input(0)],
      [
        { dtype: 'float32', shape },
        { dtype: 'int64', shape },
      ],
      windowAttributes(windowOf(part.signature.attributes), part),
    );
    emit.setOutput(0, values!);
    emit.save(0, indices!);
  },
  /** MaxPool's indices count over the whole flattened input, so one scatter on a flat tensor adds every gradient. */
  backward(emit, part) {
    const shape = regionShape(part.inputs[0]!);
    const count = regionVolume(part.inputs[0]!);
    const outputs = regionVolume(part.output);
    const zeros = emit.node('ConstantOfShape', [emit.ints([count])], [count], {}, { dtype: 'float32' });
    const dy = emit.reshape(emit.gradOutput(0), [outputs]);
    const indices = emit.reshape(emit.saved(0), [outputs]);
    const scattered = emit.node('ScatterElements', [zeros, indices, dy], [count], {
      reduction: { type: 'string', value: 'add' },
    });
    emit.setGradInput(0, emit.reshape(scattered, shape));
  },
};

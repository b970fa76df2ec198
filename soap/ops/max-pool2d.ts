import { regionShape, regionVolume } from '../region/region.ts';
import type { Emitter, Value } from './emitter.ts';
import { int, ints } from './emitter.ts';
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
  /** One scatter adds every gradient: the elements of each plane at the places within it. */
  backward(emit, part) {
    const shape = regionShape(part.inputs[0]!);
    const [samples, channels, ...extents] = shape;
    const planes = samples! * channels!;
    const elements = extents.reduce((a, b) => a * b, 1);
    const places = regionVolume(part.output) / planes;
    const zeros = emit.zeros([planes, elements]);
    const [dy, indices] = [emit.gradOutput(0), emit.saved(0)].map((value) => emit.reshape(value, [planes, places]));
    const starts = planeStarts(emit, [samples!, channels!, elements]);
    const within = emit.node('Sub', [indices!, starts], [planes, places]);
    const scattered = emit.node('ScatterElements', [zeros, within, dy!], [planes, elements], {
      axis: int(1),
      reduction: { type: 'string', value: 'add' },
    });
    emit.setGradInput(0, emit.reshape(scattered, shape));
  },
};

/** MaxPool's indices count over the whole flattened input: where each plane begins there, [samples * channels, 1]. */
function planeStarts(emit: Emitter, [samples, channels, elements]: readonly [number, number, number]): Value {
  const steps = (count: number, length: number): BigInt64Array =>
    BigInt64Array.from({ length: count }, (_, i) => BigInt(i * length));
  const ofSamples = steps(samples, channels * elements);
  const terms = [
    emit.constant({ dtype: 'int64', shape: [samples, 1], data: ofSamples }),
    emit.constant({ dtype: 'int64', shape: [1, channels], data: steps(channels, elements) }),
  ];
  return emit.reshape(emit.node('Add', terms, [samples, channels]), [samples * channels, 1]);
}

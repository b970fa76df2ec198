import { dtypeCode } from '../onnx/element-types.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import { arithmetic } from './arithmetic.ts';
import { axisName } from './elementwise.ts';
import { int, ints } from './emitter.ts';
import type { Dimension, OpDefinition } from './op.ts';
import { axesOf, outputAxes, reducedShape, reductionAttributes } from './reduce.ts';

/**
 * The largest element over `axes`, which stay with extent 1 where `keepDims`. Axes that stay split; those that are reduced do
 * not, since readers of partial results add them up. Its gradient goes to all elements that are the largest, in equal shares:
 * so does that of torch.amax.
 */
export const reduceMax: OpDefinition = {
  kind: 'reduceMax',
  onnxTypes: ['ReduceMax'],
  fromOnnx: (node, context) => ({ attributes: reductionAttributes(node, context), inputs: [0] }),
  outputShapes: ([shape = []], attributes) => [reducedShape('ReduceMax', shape, attributes)],
  dimensions({ inputs, attributes }): readonly Dimension[] {
    const shape = inputs[0]!;
    const places = outputAxes(shape, attributes);
    return shape.flatMap((size, axis): Dimension[] => {
      if (places[axis] === undefined) return [];
      return [
        { name: axisName(axis, shape.length), kind: axis === 0 ? 'sample' : 'attribute', size, axis: places[axis] },
      ];
    });
  },
  inputRegion({ inputs, attributes }, output): Region {
    const places = outputAxes(inputs[0]!, attributes);
    return inputs[0]!.map((size, axis): Interval => {
      const place = places[axis];
      return place === undefined ? [0, size] : output[place]!;
    });
  },
  forwardFlops: ({ inputs }) => regionVolume(inputs[0]!),
  backwardFlops: ({ inputs }) => 4 * regionVolume(inputs[0]!),
  forward(emit, { signature: { attributes }, output }) {
    const keepdims = int(attributes['keepDims'] === true ? 1 : 0);
    const axes = ints(axesOf(attributes));
    emit.setOutput(0, emit.node('ReduceMax', [emit.input(0)], regionShape(output), { axes, keepdims }));
  },
  backward(emit, { signature, inputs }) {
    const math = arithmetic(emit);
    const axes = axesOf(signature.attributes);
    const kept = regionShape(inputs[0]!).map((extent, axis) => (axes.includes(axis) ? 1 : extent));
    const [largest, dy] = [emit.output(0), emit.gradOutput(0)].map((value) => emit.reshape(value, kept));
    const x = emit.input(0);
    const isLargest = emit.node(
      'Cast',
      [math.equal(x, largest!)],
      x.shape,
      { to: int(dtypeCode('float32')) },
      { dtype: 'float32' },
    );
    emit.setGradInput(0, math.mul(isLargest, math.div(dy!, math.sumKept(isLargest, axes))));
  },
};

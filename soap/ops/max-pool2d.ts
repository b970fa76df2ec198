import type { Region } from '../strategy/region.ts';
import { regionShape, regionVolume } from '../strategy/region.ts';
import { elementwiseDimensions } from './elementwise.ts';
import { ints } from './emitter.ts';
import type { OpDefinition, Part } from './op.ts';
import { OpError } from './op.ts';
import { partPads, windowFromOnnx, windowInput, windowOf, windowOutput } from './window.ts';

/** Largest element of each window of [N, C, H, W]; of equal ones the first gets the gradient, as in PyTorch. */
export const maxPool2d: OpDefinition = {
  kind: 'maxPool2d',
  onnxTypes: ['MaxPool'],
  fromOnnx(node, context) {
    const ceil = node.attributes['ceil_mode'];
    if (ceil?.type === 'int' && ceil.value !== 0) throw new OpError('MaxPool has ceil_mode 1; expected 0');
    if (node.outputs.length > 1 && node.outputs[1] !== '')
      throw new OpError('MaxPool returns Indices; expected the values only');
    return { attributes: windowFromOnnx(node, context.shape(0)), inputs: [0] };
  },
  outputShapes([x], attributes) {
    if (x?.length !== 4) throw new OpError(`MaxPool has an input of shape [${x}]; expected [N, C, H, W]`);
    return [[x[0]!, x[1]!, ...windowOutput(windowOf(attributes), x.slice(2))]];
  },
  dimensions: elementwiseDimensions,
  inputRegion({ inputs, attributes }, output): Region {
    return [output[0]!, output[1]!, ...windowInput(windowOf(attributes), output.slice(2), inputs[0]!.slice(2))];
  },
  forwardFlops: taps,
  backwardFlops: (part) => regionVolume(part.output),
  forward(emit, part) {
    const window = windowOf(part.signature.attributes);
    const shape = regionShape(part.output);
    const [values, indices] = emit.nodes(
      'MaxPool',
      [emit.input(0)],
      [
        { dtype: 'float32', shape },
        { dtype: 'int64', shape },
      ],
      {
        kernel_shape: ints(window.kernel),
        strides: ints(window.strides),
        dilations: ints(window.dilations),
        pads: ints(partPads(window, part)),
      },
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

function taps({ output, signature }: Part): number {
  const { kernel } = windowOf(signature.attributes);
  return regionVolume(output) * kernel.reduce((a, b) => a * b, 1);
}

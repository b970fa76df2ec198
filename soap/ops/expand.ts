import { regionShape } from '../strategy/region.ts';
import { broadcastShape } from '../onnx/indexing.ts';
import { broadcastRegion, sumToShape } from './broadcast.ts';
import { elementwiseDimensions } from './elementwise.ts';
import { int } from './emitter.ts';
import type { OpDefinition } from './op.ts';
import { integerList, numbersAttribute, OpError, sameDtype } from './op.ts';

/** Repeats axes of extent 1 to a `shape`, as broadcasting does: class tokens, masks. */
export const expand: OpDefinition = {
  kind: 'expand',
  onnxTypes: ['Expand'],
  fromOnnx(_node, context) {
    const target = context.constant(1);
    if (target === undefined) throw new OpError('Expand has a shape that is computed; expected a constant');
    const { file, job } = context.batch;
    const shape = integerList(target).map((extent, axis) => (axis === 0 && extent === file ? job : extent));
    return { attributes: { shape: broadcastShape(context.shape(0), shape) ?? shape }, inputs: [0] };
  },
  outputShapes([from = []], attributes) {
    const shape = numbersAttribute(attributes, 'shape');
    if (String(broadcastShape(from, shape)) !== String(shape)) {
      throw new OpError(`Expand makes [${shape}] of shape [${from}]; expected extents that are equal, or repeat 1`);
    }
    return [shape];
  },
  outputDtypes: sameDtype,
  integerInputs: 'all',
  dimensions: elementwiseDimensions,
  inputRegion: ({ inputs }, output) => broadcastRegion(inputs[0]!, output),
  forwardFlops: () => 0,
  backwardFlops: ({ output }) => output.reduce((product, [start, end]) => product * (end - start), 1),
  forward(emit, { output }) {
    const shape = regionShape(output);
    emit.setOutput(0, emit.node('Expand', [emit.input(0), emit.ints(shape)], shape));
  },
  /** One of something becomes one a sample: then the first extent is the batch, whatever it is. */
  toOnnx(emit, { signature, output }) {
    const [from, shape] = [signature.inputs[0]!, regionShape(output)];
    const repeats = shape[0] !== 1 && (from.length < shape.length || from[0] === 1);
    const target = repeats
      ? emit.node('Concat', [emit.batch(), emit.ints(shape.slice(1))], [shape.length], { axis: int(0) })
      : emit.ints(shape);
    emit.setOutput(0, emit.node('Expand', [emit.input(0), target], shape));
  },
  backward: (emit, { inputs }) => emit.setGradInput(0, sumToShape(emit, emit.gradOutput(0), regionShape(inputs[0]!))),
};

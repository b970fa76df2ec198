import { regionShape } from '../region/region.ts';
import { broadcastShape } from '../onnx/indexing.ts';
import { broadcastRegion, sumToShape } from './broadcast.ts';
import { elementwiseDimensions } from './elementwise.ts';
import type { Value } from './emitter.ts';
import type { OpDefinition } from './op.ts';
import { integerList, numbersAttribute, OpError, sameDtype } from './op.ts';
import { repeatForSamples, shapeOfSamples } from './repeat-samples.ts';

/** Repeats axes of extent 1 to a `shape`, as broadcasting does: class tokens, masks. */
export const expand: OpDefinition = {
  kind: 'expand',
  onnxTypes: ['Expand'],
  fromOnnx(_node, context) {
    const target = context.constant(1);
    if (target === undefined) throw new OpError('Expand has a shape that is computed; expected a constant');
    const { file, job } = context.batch;
    const [from, given] = [context.shape(0), integerList(target)];
    const shape = given.map((extent, axis) => (axis === 0 && extent === file ? job : extent));
    // In a file of one sample, an extent of 1 may also be one that keeps what the input has.
    const expanded = broadcastShape(from, shape) ?? broadcastShape(from, given);
    return { attributes: { shape: expanded ?? shape }, inputs: [0] };
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
  /** An extent that the input has already is 1, which keeps it, whatever the batch; one of something becomes one a sample. */
  toOnnx(emit, { signature, output }, { inputs: [read], outputs: [samples], batch }) {
    const [from, shape] = [signature.inputs[0]!, regionShape(output)];
    const kept = shape.map((extent, axis) => (from[axis + from.length - shape.length] === extent ? 1 : extent));
    const expanded = (target: Value, to: readonly number[]): Value => emit.node('Expand', [emit.input(0), target], to);
    if (samples === undefined || read !== undefined) {
      emit.setOutput(0, expanded(emit.ints(kept), shape));
    } else if (shape[samples] === batch) {
      emit.setOutput(0, expanded(shapeOfSamples(emit, kept, samples), shape));
    } else {
      const each = shape[samples]! / batch;
      const ofSample = expanded(emit.ints(kept.with(samples, each)), shape.with(samples, each));
      emit.setOutput(0, repeatForSamples(emit, ofSample, samples, batch));
    }
  },
  backward: (emit, { inputs }) => emit.setGradInput(0, sumToShape(emit, emit.gradOutput(0), regionShape(inputs[0]!))),
};

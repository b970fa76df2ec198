import { regionShape, regionVolume } from '../region/region.ts';
import { besideAxis, axisOf, requireIndices, wholeAlong } from './element-indices.ts';
import { elementwiseDimensions } from './elementwise.ts';
import { int } from './emitter.ts';
import type { OpDefinition } from './op.ts';
import { numberAttribute, sameDtype } from './op.ts';

const [DATA, INDICES] = [0, 1];

/**
 * An element for each of `indices`, which say where along an `axis` it is; elsewhere it is where its index is: PyTorch's `gather`. All
 * axes but that one split.
 */
export const gatherElements: OpDefinition = {
  kind: 'gatherElements',
  onnxTypes: ['GatherElements'],
  fromOnnx: (node, context) => ({
    attributes: { axis: axisOf(node, context.shape(DATA), 0) },
    inputs: [DATA, INDICES],
  }),
  outputShapes([data = [], indices = []], attributes) {
    requireIndices('GatherElements', data, indices, numberAttribute(attributes, 'axis'));
    return [indices];
  },
  outputDtypes: sameDtype,
  integerInputs: 'all',
  dimensions: (signature) =>
    besideAxis(elementwiseDimensions(signature), numberAttribute(signature.attributes, 'axis')),
  inputRegion({ attributes, inputs }, output, input) {
    return wholeAlong(output, numberAttribute(attributes, 'axis'), inputs[input]!);
  },
  forwardFlops: () => 0,
  backwardFlops: (part) => regionVolume(part.output),
  forward(emit, part) {
    const axis = int(numberAttribute(part.signature.attributes, 'axis'));
    const operands = [emit.input(DATA), emit.input(INDICES)];
    emit.setOutput(0, emit.node('GatherElements', operands, regionShape(part.output), { axis }));
  },
  /** Gradients of an element that is taken more than once are added up. */
  backward(emit, part) {
    const shape = regionShape(part.inputs[DATA]!);
    const zeros = emit.zeros(shape);
    const attributes = {
      axis: int(numberAttribute(part.signature.attributes, 'axis')),
      reduction: { type: 'string', value: 'add' } as const,
    };
    const operands = [zeros, emit.input(INDICES), emit.gradOutput(0)];
    emit.setGradInput(DATA, emit.node('ScatterElements', operands, shape, attributes));
  },
};

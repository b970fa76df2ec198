import type { Attributes } from '../graph/graph.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import { elementwiseDimensions } from './elementwise.ts';
import { int } from './emitter.ts';
import { besideAxis, axisOf, wholeAlong } from './element-indices.ts';
import type { OpDefinition } from './op.ts';
import { integerList, numberAttribute, OpError } from './op.ts';

const [X, K] = [0, 1];
const [VALUES, INDICES] = [0, 1];

/**
 * The `k` largest elements along an `axis`, or the smallest, in order, and where they were. All axes but that one split. ONNX's TopK;
 * of equal elements the first counts.
 */
export const topK: OpDefinition = {
  kind: 'topK',
  onnxTypes: ['TopK'],
  fromOnnx(node, context) {
    if (context.dtype(X) !== 'float32') throw new OpError(`TopK takes ${context.dtype(X)}; expected float32`);
    const [given, constant] = [node.attributes['k'], context.constant(K)];
    // An attribute before version 10 of the operator set.
    const k = given?.type === 'int' ? given.value : constant && integerList(constant)[0];
    if (k === undefined) throw new OpError('TopK takes a computed k; expected a constant');
    const largest = node.attributes['largest'];
    const attributes = {
      axis: axisOf(node, context.shape(X), -1),
      k,
      largest: largest?.type !== 'int' || largest.value !== 0,
    };
    return { attributes, inputs: [X] };
  },
  outputShapes([shape = []], attributes) {
    const { axis, k } = read(attributes);
    const extent = shape[axis];
    if (extent === undefined) throw new OpError(`TopK is along axis ${axis} of [${shape}]; expected one of its axes`);
    if (k < 1 || k > extent)
      throw new OpError(`TopK takes ${k} of axis ${axis} of [${shape}]; expected 1 to ${extent}`);
    const taken = shape.with(axis, k);
    return [taken, taken];
  },
  outputDtypes: () => ['float32', 'int64'],
  dimensions: (signature) => besideAxis(elementwiseDimensions(signature), read(signature.attributes).axis),
  inputRegion: ({ attributes, inputs: [shape] }, output) => wholeAlong(output, read(attributes).axis, shape!),
  /** A heap of k elements takes as many comparisons for each. */
  forwardFlops(part) {
    const { k } = read(part.signature.attributes);
    return regionVolume(part.inputs[X]!) * Math.ceil(1 + Math.log2(k));
  },
  backwardFlops: (part) => regionVolume(part.output),
  forward(emit, part) {
    const { axis, k, largest } = read(part.signature.attributes);
    const shape = regionShape(part.output);
    const attributes = { axis: int(axis), largest: int(largest ? 1 : 0), sorted: int(1) };
    const results = [
      { dtype: 'float32', shape },
      { dtype: 'int64', shape },
    ] as const;
    const [values, indices] = emit.nodes('TopK', [emit.input(X), emit.ints([k])], results, attributes);
    emit.setOutput(VALUES, values!);
    emit.setOutput(INDICES, indices!);
  },
  backward(emit, part) {
    const shape = regionShape(part.inputs[X]!);
    const zeros = emit.zeros(shape);
    const axis = int(read(part.signature.attributes).axis);
    const operands = [zeros, emit.output(INDICES), emit.gradOutput(VALUES)];
    emit.setGradInput(X, emit.node('ScatterElements', operands, shape, { axis }));
  },
};

function read(attributes: Attributes): { axis: number; k: number; largest: boolean } {
  return {
    axis: numberAttribute(attributes, 'axis'),
    k: numberAttribute(attributes, 'k'),
    largest: attributes['largest'] === true,
  };
}

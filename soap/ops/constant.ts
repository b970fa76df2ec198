import type { Attributes, DType, Shape } from '../graph/graph.ts';
import type { OnnxTensor } from '../onnx/model.ts';
import type { Region } from '../region/region.ts';
import { regionShape, wholeRegion } from '../region/region.ts';
import type { Value } from './emitter.ts';
import type { Dimension, OpDefinition } from './op.ts';
import { numbersAttribute, OpError } from './op.ts';
import { repeatForSamples, valuesOfSample } from './repeat-samples.ts';

/**
 * A tensor that is neither fed nor trained, such as an attention mask: attributes `shape`, `values` (row-major, or one for
 * all), and `dtype`. Every axis splits; none counts samples.
 */
export const constant: OpDefinition = {
  kind: 'constant',
  onnxTypes: [],
  fromOnnx() {
    throw new OpError('internal: a constant is imported with the op that reads it');
  },
  outputShapes(_inputs, attributes) {
    const [shape, values] = [numbersAttribute(attributes, 'shape'), numbersAttribute(attributes, 'values')];
    const elements = shape.reduce((a, b) => a * b, 1);
    if (values.length !== 1 && values.length !== elements) {
      throw new OpError(`a constant of shape [${shape}] has ${values.length} values; expected 1 or ${elements}`);
    }
    return [shape];
  },
  outputDtypes: (_inputs, attributes) => [dtypeOf(attributes)],
  dimensions: ({ outputs }): readonly Dimension[] =>
    outputs[0]!.map((size, axis) => ({ name: `axis${axis}`, kind: 'attribute', size, axis })),
  inputRegion() {
    throw new OpError('internal: a constant reads nothing');
  },
  forwardFlops: () => 0,
  backwardFlops: () => 0,
  forward(emit, { signature, output }) {
    emit.setOutput(0, emit.constant(piece(signature.attributes, output)));
  },
  backward() {},
  /** A Constant node: an initializer would be a weight. What is the same for all samples is that of one, repeated. */
  toOnnx(emit, { signature: { attributes }, output }, { outputs: [samples], batch }) {
    const node = (value: OnnxTensor): Value =>
      emit.node('Constant', [], value.shape, { value: { type: 'tensor', value } }, { dtype: value.dtype });
    const ofSample = samples === undefined ? undefined : pieceOfSample(attributes, samples, batch);
    if (samples === undefined || ofSample === undefined) emit.setOutput(0, node(piece(attributes, output)));
    else emit.setOutput(0, repeatForSamples(emit, node(ofSample), samples, batch));
  },
};

/** The attributes of a constant with these values. Booleans become 0 and 1. */
export function constantAttributes({ dtype, shape, data }: OnnxTensor): Attributes {
  const values = Array.from<number | bigint, number>(data, Number);
  const same = values.every((value) => value === values[0]);
  const real = dtype === 'float32' || dtype === 'float64';
  return { dtype: real ? 'float32' : 'int64', shape, values: same ? values.slice(0, 1) : values };
}

/** What the values along an axis are for one sample; undefined where samples differ. */
function pieceOfSample(attributes: Attributes, axis: number, batch: number): OnnxTensor | undefined {
  const [shape, values] = [numbersAttribute(attributes, 'shape'), numbersAttribute(attributes, 'values')];
  const isSame = values.length === 1 || valuesOfSample(values, shape, axis, batch) !== undefined;
  return isSame ? piece(attributes, wholeRegion(shape.with(axis, shape[axis]! / batch))) : undefined;
}

function dtypeOf({ dtype }: Attributes): DType {
  return dtype === 'int64' ? 'int64' : 'float32';
}

/** A box of the values. */
function piece(attributes: Attributes, box: Region): OnnxTensor {
  const [whole, values] = [numbersAttribute(attributes, 'shape'), numbersAttribute(attributes, 'values')];
  const shape = regionShape(box);
  const elements =
    values.length === 1
      ? Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => values[0]!)
      : positions(whole, box).map((at) => values[at]!);
  return dtypeOf(attributes) === 'int64'
    ? { dtype: 'int64', shape, data: BigInt64Array.from(elements, BigInt) }
    : { dtype: 'float32', shape, data: Float32Array.from(elements) };
}

/** Row-major indices into the whole of the elements of a box. */
function positions(whole: Shape, box: Region): number[] {
  return box.reduce<number[]>(
    (starts, [start, end], axis) =>
      starts.flatMap((base) => Array.from({ length: end - start }, (_, k) => base * whole[axis]! + start + k)),
    [0],
  );
}

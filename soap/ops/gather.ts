import type { Attributes } from '../graph/graph.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape } from '../region/region.ts';
import { axisOf } from './element-indices.ts';
import { elementwiseDimensions } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { ImportContext, ImportedOp, OpDefinition, Part } from './op.ts';
import { integerList, numberAttribute, numbersAttribute, OpError, sameDtype } from './op.ts';
import { repeatForSamples, valuesOfSample } from './repeat-samples.ts';

/** ONNX's Gather with indices that are computed reads [table, tokens]. */
const [DATA, INDICES] = [0, 1];

/**
 * The elements at constant `indices` of an `axis`, in the place of that axis: as an axis, or gone where `indicesShape` is [],
 * a single index. Every axis of the output splits.
 */
export const gather: OpDefinition = {
  kind: 'gather',
  onnxTypes: ['Gather'],
  fromOnnx(node, context) {
    const shape = context.shape(DATA);
    const axis = axisOf(node, shape, 0);
    const indices = context.constant(INDICES);
    if (indices === undefined) return asEmbedding(context, axis);
    const extent = shape[axis] ?? 0;
    const positions = integerList(indices).map((index) => (index < 0 ? index + extent : index));
    return { attributes: { axis, indices: positions, indicesShape: indices.shape }, inputs: [DATA] };
  },
  outputShapes([shape = []], attributes) {
    const { axis, indices, indicesShape } = read(attributes);
    const extent = shape[axis] ?? 0;
    if (indices.length === 0 || indices.some((index) => index < 0 || index >= extent)) {
      throw new OpError(
        `Gather takes [${indices}] of axis ${axis} of [${shape}]; expected indices from 0 to ${extent - 1}`,
      );
    }
    return [[...shape.slice(0, axis), ...indicesShape, ...shape.slice(axis + 1)]];
  },
  outputDtypes: sameDtype,
  integerInputs: 'all',
  /** Of several axes of indices the first of more than one splits: a piece of another is no run of indices. */
  dimensions(signature) {
    const { axis, indicesShape } = read(signature.attributes);
    const splits = axis + runAxis(indicesShape);
    return elementwiseDimensions(signature).filter((each) => {
      return each.axis! < axis || each.axis! >= axis + indicesShape.length || each.axis === splits;
    });
  },
  inputRegion({ attributes }, output): Region {
    const { axis, indicesShape } = read(attributes);
    const indices = indicesOf(attributes, output);
    const taken: Interval = [least(indices), -least(indices.map((index) => -index)) + 1];
    return [...output.slice(0, axis), taken, ...output.slice(axis + indicesShape.length)];
  },
  forwardFlops: () => 0,
  backwardFlops: () => 0,
  forward(emit, part) {
    const { axis, indicesShape } = read(part.signature.attributes);
    const shape = regionShape(part.output);
    const indices = indicesValue(
      emit,
      part,
      indicesShape.length === 0 ? [] : shape.slice(axis, axis + indicesShape.length),
    );
    emit.setOutput(0, emit.node('Gather', [emit.input(DATA), indices], shape, { axis: int(axis) }));
  },
  /** Indices that are the same for all samples are those of one, repeated. */
  toOnnx(emit, part, { outputs: [samples], batch }) {
    const { axis, indices, indicesShape } = read(part.signature.attributes);
    const along = samples === undefined ? -1 : samples - axis;
    const isOfSamples = along >= 0 && along < indicesShape.length;
    const ofSample = isOfSamples ? valuesOfSample(indices, indicesShape, along, batch) : undefined;
    if (ofSample === undefined) {
      gather.forward(emit, part);
      return;
    }
    const shapeOfSample = indicesShape.with(along, indicesShape[along]! / batch);
    const once = emit.constant({ dtype: 'int64', shape: shapeOfSample, data: BigInt64Array.from(ofSample, BigInt) });
    const repeated = repeatForSamples(emit, once, along, batch);
    const shape = regionShape(part.output);
    emit.setOutput(0, emit.node('Gather', [emit.input(DATA), repeated], shape, { axis: int(axis) }));
  },
  /** Gradients of an element that is taken more than once are added up. */
  backward(emit, part) {
    const { axis, indicesShape } = read(part.signature.attributes);
    const shape = regionShape(part.inputs[DATA]!);
    const dy = emit.gradOutput(0);
    const count = indicesOf(part.signature.attributes, part.output).length;
    const flat = emit.reshape(dy, [...dy.shape.slice(0, axis), count, ...dy.shape.slice(axis + indicesShape.length)]);
    if (count === 1) {
      emit.setGradInput(DATA, flat);
      return;
    }
    const column = indicesValue(
      emit,
      part,
      shape.map((_, k) => (k === axis ? count : 1)),
    );
    const positions = emit.node('Expand', [column, emit.ints(flat.shape)], flat.shape);
    const zeros = emit.zeros(shape);
    const reduction = { type: 'string', value: 'add' } as const;
    const attributes = { axis: int(axis), reduction };
    emit.setGradInput(DATA, emit.node('ScatterElements', [zeros, positions, flat], shape, attributes));
  },
};

/** Rows of a parameter at computed indices. */
function asEmbedding(context: ImportContext, axis: number): ImportedOp {
  if (context.computed(DATA))
    throw new OpError('Gather takes computed indices of computed values; expected one constant');
  if (axis !== 0) throw new OpError(`Gather takes computed indices of axis ${axis} of a weight; expected axis 0`);
  return { kind: 'embedding', attributes: {}, inputs: [INDICES, DATA] };
}

function read(attributes: Attributes): { axis: number; indices: readonly number[]; indicesShape: readonly number[] } {
  return {
    axis: numberAttribute(attributes, 'axis'),
    indices: numbersAttribute(attributes, 'indices'),
    indicesShape: numbersAttribute(attributes, 'indicesShape'),
  };
}

/** The indices that an output box takes. */
function indicesOf(attributes: Attributes, output: Region): readonly number[] {
  const { axis, indices, indicesShape } = read(attributes);
  if (indicesShape.length === 0) return indices;
  const run = runAxis(indicesShape);
  const inner = indicesShape.slice(run + 1).reduce((a, b) => a * b, 1);
  const [start, end] = output[axis + run]!;
  return indices.slice(start * inner, end * inner);
}

/** The axis of the indices whose pieces are runs of them. */
function runAxis(indicesShape: readonly number[]): number {
  return Math.max(
    0,
    indicesShape.findIndex((extent) => extent > 1),
  );
}

/** The part's indices, counted from the start of its input box. */
function indicesValue(emit: Emitter, { signature, output, inputs }: Part, shape: readonly number[]): Value {
  const { axis } = read(signature.attributes);
  const first = inputs[DATA]![axis]![0];
  const local = indicesOf(signature.attributes, output).map((index) => index - first);
  if (shape.length === 0) return emit.int(local[0]!);
  return shape.length === 1 ? emit.ints(local) : emit.reshape(emit.ints(local), shape);
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}

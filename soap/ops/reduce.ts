import type { Attributes, Shape } from '../graph/graph.ts';
import type { OnnxNode } from '../onnx/model.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import { axisName } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { int, ints } from './emitter.ts';
import { nodeAxes } from './node-axes.ts';
import type { Dimension, ImportContext, OpDefinition, Part } from './op.ts';
import { integerList, numbersAttribute, OpError } from './op.ts';

/** What tells one reduction from another: what its sum is divided by, given how many elements it sums. */
export interface Reduction {
  readonly kind: string;
  readonly onnxType: string;
  readonly divisor: (elements: number) => number;
}

/**
 * A sum over `axes`, which stay with extent 1 where `keepDims`. Axes that stay split as everywhere; those that are summed
 * are reductions, whose parts hold partial sums.
 */
export function reduceOp({ kind, onnxType, divisor }: Reduction): OpDefinition {
  const divisorOf = ({ signature }: Part): number =>
    divisor(axesOf(signature.attributes).reduce((product, axis) => product * signature.inputs[0]![axis]!, 1));
  return {
    kind,
    onnxTypes: [onnxType],
    fromOnnx: (node, context) => ({ attributes: reductionAttributes(node, context), inputs: [0] }),
    outputShapes: ([shape = []], attributes) => [reducedShape(onnxType, shape, attributes)],
    dimensions({ inputs, attributes }): readonly Dimension[] {
      const shape = inputs[0]!;
      const [axes, places] = [axesOf(attributes), outputAxes(shape, attributes)];
      return shape.map((size, axis): Dimension => {
        const name = axisName(axis, shape.length);
        if (axes.includes(axis)) return { name, kind: 'reduction', size, axis: undefined };
        return { name, kind: axis === 0 ? 'sample' : 'attribute', size, axis: places[axis] };
      });
    },
    inputRegion: (_signature, _output, _input, ranges): Region => ranges.map(([start, end]): Interval => [start, end]),
    forwardFlops: ({ inputs }) => regionVolume(inputs[0]!),
    backwardFlops: ({ inputs }) => regionVolume(inputs[0]!),
    forward(emit, part) {
      const { attributes } = part.signature;
      const sum = emit.node('ReduceSum', [emit.input(0), emit.ints(axesOf(attributes))], regionShape(part.output), {
        keepdims: int(attributes['keepDims'] === true ? 1 : 0),
      });
      emit.setOutput(0, divided(emit, sum, divisorOf(part)));
    },
    backward(emit, part) {
      const shape = regionShape(part.inputs[0]!);
      const axes = axesOf(part.signature.attributes);
      const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
      const share = divided(emit, emit.reshape(emit.gradOutput(0), kept), divisorOf(part));
      emit.setGradInput(0, emit.node('Expand', [share, emit.ints(shape)], shape));
    },
    /** Axes are an attribute of ReduceMean up to operator set 17, and an input of ReduceSum since 13. */
    toOnnx(emit, part) {
      const { attributes } = part.signature;
      const keepdims = int(attributes['keepDims'] === true ? 1 : 0);
      const [x, shape, axes] = [emit.input(0), regionShape(part.output), axesOf(attributes)];
      const result =
        onnxType === 'ReduceSum'
          ? emit.node(onnxType, [x, emit.ints(axes)], shape, { keepdims })
          : emit.node(onnxType, [x], shape, { keepdims, axes: ints(axes) });
      emit.setOutput(0, result);
    },
  };
}

/** The attributes `axes`, ascending and from 0, and `keepDims` of a reducing node. */
export function reductionAttributes(node: OnnxNode, context: ImportContext): Attributes {
  const [attribute, keep] = [node.attributes['axes'], node.attributes['keepdims']];
  const given = context.constant(1);
  const rank = context.shape(0).length;
  if ((node.inputs[1] ?? '') !== '' && given === undefined) {
    throw new OpError(`${node.opType} has axes that are computed; expected constants`);
  }
  const listed = attribute?.type === 'ints' ? attribute.value : given === undefined ? [] : integerList(given);
  const axes = nodeAxes(node, listed, rank).toSorted((a, b) => a - b);
  const nothing = node.attributes['noop_with_empty_axes'];
  if (axes.length === 0 && nothing?.type === 'int' && nothing.value === 1) {
    throw new OpError(`${node.opType} has no axes, and noop_with_empty_axes 1; expected axes`);
  }
  const all = Array.from({ length: rank }, (_, axis) => axis);
  return { axes: axes.length === 0 ? all : axes, keepDims: !(keep?.type === 'int' && keep.value === 0) };
}

/** Axes that a reduction goes over. */
export function axesOf(attributes: Attributes): readonly number[] {
  return numbersAttribute(attributes, 'axes');
}

/** The shape without the axes, or with 1 in their places. @throws {OpError} for axes that it has not */
export function reducedShape(onnxType: string, shape: Shape, attributes: Attributes): number[] {
  const [axes, keep] = [axesOf(attributes), attributes['keepDims'] === true];
  if (axes.some((axis) => axis < 0 || axis >= shape.length) || new Set(axes).size < axes.length) {
    throw new OpError(`${onnxType} has axes [${axes}]; its input of shape [${shape}] has 0 to ${shape.length - 1}`);
  }
  return shape.flatMap((extent, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [extent]));
}

/** By input axis: where it is in the output, if it stays. */
export function outputAxes(shape: Shape, attributes: Attributes): (number | undefined)[] {
  const [axes, keep] = [axesOf(attributes), attributes['keepDims'] === true];
  let place = 0;
  return shape.map((_, axis) => {
    if (!axes.includes(axis)) return place++;
    if (keep) place++;
    return undefined;
  });
}

function divided(emit: Emitter, value: Value, divisor: number): Value {
  return divisor === 1 ? value : emit.node('Mul', [value, emit.scalar(1 / divisor)], value.shape);
}

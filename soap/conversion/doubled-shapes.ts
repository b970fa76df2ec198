import { opDefinition, opDimensions } from '../ops/index.ts';
import { opPart } from '../ops/kernel.ts';
import { OpError } from '../ops/op.ts';
import type { Interval } from '../region/region.ts';
import { microBatchSizeOf } from '../training/batch-size.ts';
import type { Graph, Op, Shape } from '../graph/graph.ts';
import { samplePeriods } from '../training/sample-period.ts';

/**
 * By tensor id, the shape with twice as many samples. What is no part of any sample, such as a token or a mask that is repeated,
 * has twice the extent along the axis that its readers take together with that of the samples.
 */
export function doubledShapes(graph: Graph): readonly Shape[] {
  const periods = samplePeriods(graph);
  const doubled = graph.tensors.map(({ role, shape }) => (role === 'input' ? twice(shape, 0) : shape));
  for (const op of graph.ops) {
    const shapes = outputShapes(
      op,
      op.inputs.map((id) => doubled[id]!),
    );
    op.outputs.forEach((id, i) => (doubled[id] = shapes?.[i] ?? doubledByPeriod(graph, id, periods[id]!)));
  }
  const batch = microBatchSizeOf(graph);
  for (const id of graph.outputs) {
    const { shape } = graph.tensors[id]!;
    if (periods[id] === 0 && shape[0]! % batch === 0) doubled[id] = twice(shape, 0);
  }
  for (const op of graph.ops.toReversed()) {
    op.inputs.forEach((id, input) => {
      const { role, shape } = graph.tensors[id]!;
      if (periods[id]! > 0 || role === 'parameter') return;
      const axis = axisOfReader(graph, op, input, doubled);
      if (axis !== undefined && shape[axis]! % batch === 0) doubled[id] = twice(shape, axis);
    });
  }
  return doubled;
}

/** The axis along which a tensor grows with the samples; undefined where none does. */
export function sampleAxis(shape: Shape, doubled: Shape): number | undefined {
  const axis = shape.findIndex((extent, at) => extent !== doubled[at]);
  return axis < 0 ? undefined : axis;
}

/** Undefined where inputs do not fit the op: its attributes, or operands that are no samples, are made for the batch. */
function outputShapes({ kind, attributes }: Op, inputs: readonly Shape[]): readonly Shape[] | undefined {
  try {
    return opDefinition(kind).outputShapes(inputs, attributes);
  } catch (error) {
    if (error instanceof OpError) return undefined;
    throw error;
  }
}

function doubledByPeriod(graph: Graph, id: number, period: number): Shape {
  const { shape } = graph.tensors[id]!;
  if (period === 0) return shape;
  const batch = microBatchSizeOf(graph);
  const behind = (axis: number): number => shape.slice(axis).reduce((a, b) => a * b, 1);
  const axes = [...shape.keys()].filter((axis) => shape[axis]! % batch === 0);
  const axis = axes.find((at) => behind(at) === period) ?? axes.findLast((at) => behind(at) > period);
  return axis === undefined ? shape : twice(shape, axis);
}

/** The axis of an input that parts of an op read parts of, where they have parts of the samples of its output. */
function axisOfReader(graph: Graph, op: Op, input: number, doubled: readonly Shape[]): number | undefined {
  const output = op.outputs[0]!;
  const samples = sampleAxis(graph.tensors[output]!.shape, doubled[output]!);
  if (samples === undefined) return undefined;
  const dimensions = opDimensions(graph, op);
  const along = dimensions.findIndex(({ axis, size }) => axis === samples && size > 1);
  if (along < 0) return axisThatFits(graph, op, input, doubled);
  const ranges = dimensions.map(({ size }, at): Interval => [0, at === along ? 1 : size]);
  const { shape } = graph.tensors[op.inputs[input]!]!;
  const axis = opPart(graph, op, ranges).inputs[input]?.findIndex(([start, end], at) => end - start < shape[at]!);
  return axis === undefined || axis < 0 ? undefined : axis;
}

/** The axis of an input that has to be doubled for the op to give the doubled output, where parts cannot tell: of one sample. */
function axisThatFits(graph: Graph, op: Op, input: number, doubled: readonly Shape[]): number | undefined {
  const expected = String(op.outputs.map((id) => doubled[id]!));
  const fits = (shape: Shape): boolean =>
    String(outputShapes(op, op.inputs.map((id) => doubled[id]!).with(input, shape))) === expected;
  const { shape } = graph.tensors[op.inputs[input]!]!;
  return fits(shape) ? undefined : [...shape.keys()].find((axis) => fits(twice(shape, axis)));
}

function twice(shape: Shape, axis: number): Shape {
  return shape.with(axis, 2 * shape[axis]!);
}

import { opDimensions } from '../ops/index.ts';
import { opPart } from '../ops/kernel.ts';
import { numbersAttribute } from '../ops/op.ts';
import type { Interval } from '../region/region.ts';
import type { Graph, Op, Shape } from '../graph/graph.ts';
import { elementCount } from '../onnx/indexing.ts';

/** Ops that move no element in row-major order. */
const IN_PLACE = new Set(['flatten', 'reshape']);

/**
 * By tensor id, how many elements in a row, row-major, hold all samples of the batch once: all of them where samples come first,
 * fewer where other axes were moved before the samples', and 0 of what is no part of any sample. A batch of twice as many
 * samples has periods of twice as many elements, as many of them. Of a tensor where that cannot be told, the whole tensor.
 */
export function samplePeriods(graph: Graph): number[] {
  const periods = graph.tensors.map(({ role, shape }) => (role === 'input' ? elementCount(shape) : 0));
  for (const op of graph.ops) {
    const rank = (input: number): number => graph.tensors[op.inputs[input]!]!.shape.length;
    const ofSamples = [...op.inputs.keys()].filter((input) => periods[op.inputs[input]!]! > 0);
    // An operand of fewer axes may be repeated along those of samples.
    const source = ofSamples.toSorted((a, b) => rank(b) - rank(a))[0];
    if (source === undefined) continue;
    for (const id of op.outputs) periods[id] = periodOf(graph, op, source, periods[op.inputs[source]!]!, id);
  }
  return periods;
}

function periodOf(graph: Graph, op: Op, input: number, period: number, output: number): number {
  if (IN_PLACE.has(op.kind)) return period;
  const [from, to] = [graph.tensors[op.inputs[input]!]!.shape, graph.tensors[output]!.shape];
  // The axis that samples begin at, and how many elements of it go on from there.
  const axis = axisOf(from, period);
  const inner = period / elementCount(from.slice(axis + 1));
  const target = axisInOutput(graph, op, input, axis);
  const isOutermost = target <= 0 && inner === from[axis];
  return isOutermost || to[target] !== from[axis] ? elementCount(to) : inner * elementCount(to.slice(target + 1));
}

/** The outermost axis that a period is all of, with those behind it; else that within which it begins. */
function axisOf(shape: Shape, period: number): number {
  const axis = shape.findIndex((_, at) => elementCount(shape.slice(at)) === period);
  return axis >= 0 ? axis : shape.findLastIndex((_, at) => elementCount(shape.slice(at)) > period);
}

/** The axis of the first output whose parts read parts of an axis of an input; where that has one element, the likely one. */
function axisInOutput(graph: Graph, op: Op, input: number, axis: number): number {
  const dimensions = opDimensions(graph, op);
  const whole = dimensions.map(({ size }): Interval => [0, size]);
  const from = graph.tensors[op.inputs[input]!]!.shape;
  const found = dimensions.find(({ axis: own, size }, at) => {
    if (own === undefined || size === 1) return false;
    const [start, end] = opPart(graph, op, whole.with(at, [0, 1])).inputs[input]?.[axis] ?? [0, from[axis]!];
    return end - start < from[axis]!;
  });
  if (found?.axis !== undefined) return found.axis;
  if (op.kind === 'transpose') return numbersAttribute(op.attributes, 'perm').indexOf(axis);
  return axis + graph.tensors[op.outputs[0]!]!.shape.length - from.length;
}

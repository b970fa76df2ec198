import { numbersAttribute } from '../ops/op.ts';
import type { Graph, Op, Shape } from './graph.ts';

/** Ops that move no element in row-major order. */
const IN_PLACE = new Set(['flatten', 'reshape']);

/**
 * By tensor id, how many elements in a row, row-major, hold all samples of the batch once: all of them where samples come first,
 * fewer where other axes were moved before the samples', and 0 of what is no part of any sample. A batch of twice as many
 * samples has periods of twice as many elements, as many of them. Of a tensor where that cannot be told, the whole tensor.
 */
export function samplePeriods(graph: Graph): number[] {
  const periods = graph.tensors.map(({ role, shape }) => (role === 'input' ? volume(shape) : 0));
  for (const op of graph.ops) {
    const source = op.inputs
      .filter((id) => periods[id]! > 0)
      .reduce<number | undefined>((best, id) => {
        const rank = (tensor: number): number => graph.tensors[tensor]!.shape.length;
        return best === undefined || rank(id) > rank(best) ? id : best;
      }, undefined);
    if (source === undefined) continue;
    const from = graph.tensors[source]!.shape;
    for (const id of op.outputs) periods[id] = periodOf(op, from, periods[source]!, graph.tensors[id]!.shape);
  }
  return periods;
}

function periodOf(op: Op, from: Shape, period: number, to: Shape): number {
  if (IN_PLACE.has(op.kind)) return period;
  // The axis that samples begin at, and how many elements of it go on from there.
  const axis = axisOf(from, period);
  const inner = period / volume(from.slice(axis + 1));
  const target = op.kind === 'transpose' ? numbersAttribute(op.attributes, 'perm').indexOf(axis) : axis;
  const isOutermost = target <= 0 && inner === from[axis];
  return isOutermost || to[target] !== from[axis] ? volume(to) : inner * volume(to.slice(target + 1));
}

/** The outermost axis that a period is all of, with those behind it; else that within which it begins. */
function axisOf(shape: Shape, period: number): number {
  const axis = shape.findIndex((_, at) => volume(shape.slice(at)) === period);
  return axis >= 0 ? axis : shape.findLastIndex((_, at) => volume(shape.slice(at)) > period);
}

function volume(shape: Shape): number {
  return shape.reduce((a, b) => a * b, 1);
}

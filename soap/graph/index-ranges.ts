import type { Graph, Op } from './graph.ts';

/** Which whole numbers an input of indices may have. */
export interface IndexRange {
  /** Those from 0 to one less can be looked up anywhere: classes, or rows of the smallest table. */
  readonly count: number;
  /** Those from this on can be looked up nowhere. */
  readonly end: number;
  /** Or this, a target that does not count. */
  readonly ignored?: number;
}

/** Ops whose output has nothing but elements of their inputs. */
const VIEWS = new Set(['concat', 'expand', 'flatten', 'gather', 'reshape', 'slice', 'transpose']);

/** Ops whose second input says where along an axis elements of the first are. */
const NAMES_ELEMENTS = new Set(['gatherElements', 'scatterElements']);

/** By tensor id, the ranges of inputs, and of what is picked out of them, that are looked up somewhere. */
export function indexRanges(graph: Graph): ReadonlyMap<number, IndexRange> {
  const ranges = new Map<number, IndexRange>();
  for (const op of graph.ops.toReversed()) {
    op.inputs.forEach((tensor, input) => {
      const range = rangeOf(graph, op, input, ranges);
      if (range === undefined || graph.tensors[tensor]!.dtype !== 'int64') return;
      const known = ranges.get(tensor) ?? range;
      const [count, end] = [Math.min(known.count, range.count), Math.max(known.end, range.end)];
      ranges.set(tensor, { ...known, ...range, count, end });
    });
  }
  return ranges;
}

function rangeOf(
  { tensors }: Graph,
  { kind, inputs, outputs, attributes }: Op,
  input: number,
  ranges: ReadonlyMap<number, IndexRange>,
): IndexRange | undefined {
  if (VIEWS.has(kind)) return ranges.get(outputs[0]!);
  if (kind === 'gatherElements' && input === 0) return ranges.get(outputs[0]!);
  const { axis } = attributes;
  if (NAMES_ELEMENTS.has(kind) && input === 1 && typeof axis === 'number')
    return lookup(tensors[inputs[0]!]!.shape[axis]!);
  if (kind === 'embedding' && input === 0) return lookup(tensors[inputs[1]!]!.shape[0]!);
  if (kind !== 'crossEntropy' || input !== 1) return undefined;
  const range = lookup(tensors[inputs[0]!]!.shape.at(-1)!);
  const { ignoreIndex } = attributes;
  return typeof ignoreIndex === 'number' ? { ...range, ignored: ignoreIndex } : range;
}

function lookup(rows: number): IndexRange {
  return { count: rows, end: rows };
}

import type { GraphBuilder } from '../../training/builder.ts';
import type { Shape } from '../../graph/graph.ts';
import { elementCount } from '../../onnx/indexing.ts';

/** Part of a tensor of the graph along its axis 1; all of it where it has one axis only. */
export interface Piece {
  readonly tensor: number;
  readonly start: number;
  readonly length: number;
}

/**
 * A value of the file whose axes lie in another order than in the graph, where samples come first. Recurrent layers of ONNX
 * have time first; the nodes that exporters put around them to turn the axes, or to take some steps, cancel without an op.
 */
export interface AxisView {
  /** What the ops that materialize it are called. */
  readonly name: string;
  /** What the value consists of, along axis 1; made when first asked for. */
  readonly pieces: () => readonly Piece[];
  /** The extents of the axes of all pieces together, some axes as several factors. */
  readonly factors: Shape;
  /** For each axis of the value the factors that it consists of, as indices; none for one of extent 1. */
  readonly axes: readonly (readonly number[])[];
}

/** A tensor of the graph, with its axes in order. */
export function plainView(name: string, tensor: number, shape: Shape): AxisView {
  const piece = { tensor, start: 0, length: shape[1] ?? 1 };
  return { name, pieces: () => [piece], factors: shape, axes: shape.map((_, axis) => [axis]) };
}

/** The value's shape. */
export function viewShape({ factors, axes }: AxisView): Shape {
  return axes.map((axis) => axis.reduce((product, factor) => product * factors[factor]!, 1));
}

export function transposedView(view: AxisView, permutation: readonly number[]): AxisView | undefined {
  const axes = permutation.map((axis) => view.axes[axis]);
  return axes.every((axis) => axis !== undefined) ? { ...view, axes } : undefined;
}

/** Without axes of extent 1: those named, or all. */
export function squeezedView(view: AxisView, asked: readonly number[] | undefined): AxisView | undefined {
  const shape = viewShape(view);
  const axes = asked?.map((axis) => (axis < 0 ? axis + shape.length : axis));
  if (axes?.some((axis) => shape[axis] !== 1)) return undefined;
  return { ...view, axes: view.axes.filter((_, axis) => !(axes?.includes(axis) ?? shape[axis] === 1)) };
}

/** With more axes of extent 1, at positions in the result. */
export function unsqueezedView(view: AxisView, asked: readonly number[]): AxisView {
  const rank = view.axes.length + asked.length;
  const added = new Set(asked.map((axis) => (axis < 0 ? axis + rank : axis)));
  const axes = view.axes.values();
  return {
    ...view,
    axes: Array.from({ length: rank }, (_, axis) => (added.has(axis) ? [] : (axes.next().value ?? []))),
  };
}

/**
 * In another shape, as ONNX's Reshape says it (0 keeps an extent, -1 is what remains).
 * @returns undefined where an axis of the result would be part of a factor
 */
export function reshapedView(view: AxisView, asked: readonly number[]): AxisView | undefined {
  const from = viewShape(view);
  const elements = elementCount(from);
  const kept = asked.map((extent, axis) => (extent === 0 ? (from[axis] ?? 0) : extent));
  const known = elementCount(kept.filter((extent) => extent !== -1));
  const to = kept.map((extent) => (extent === -1 ? elements / known : extent));
  if (elementCount(to) !== elements) return undefined;
  const factors = view.axes.flat().filter((factor) => view.factors[factor] !== 1);
  const axes = to.map((extent) => {
    const taken: number[] = [];
    let product = 1;
    while (product < extent && factors.length > 0) {
      product *= view.factors[factors[0]!]!;
      taken.push(factors.shift()!);
    }
    return product === extent ? taken : undefined;
  });
  return axes.every((axis) => axis !== undefined) ? { ...view, axes } : undefined;
}

/**
 * Some elements of an axis that is the first factor of the pieces' axis 1: steps of a sequence, directions of a state.
 * @returns undefined for other axes
 */
export function slicedView(view: AxisView, axis: number, start: number, end: number): AxisView | undefined {
  const { factors, axes, pieces } = view;
  if (String(axes[axis]) !== '1' || !(start < end)) return undefined;
  return { ...view, factors: factors.with(1, end - start), pieces: () => cut(pieces(), factors[1]!, start, end) };
}

/** The pieces of a value that is what they are side by side, with the axes in order; undefined for any other. */
export function plainPieces(view: AxisView, builder: GraphBuilder): readonly Piece[] | undefined {
  const pieces = inOrder(view) ? view.pieces() : [];
  const shape = joinedShape(pieces, builder);
  return pieces.length > 0 && String(shape) === String(viewShape(view)) ? pieces : undefined;
}

/** The value as a tensor of the graph: its pieces put together, its axes turned where that is not avoided. */
export function materialized(view: AxisView, builder: GraphBuilder): number {
  let tensor = joinedPieces(builder, view.name, view.pieces());
  if (!inOrder(view)) {
    tensor = reshapedTensor(builder, view, tensor, view.factors);
    const order = view.axes.flat();
    const rest = [...view.factors.keys()].filter((factor) => !order.includes(factor));
    tensor = builder.op('transpose', view.name, [tensor], { perm: [...order, ...rest] });
  }
  return reshapedTensor(builder, view, tensor, viewShape(view));
}

/** Pieces as one tensor. */
export function joinedPieces(builder: GraphBuilder, name: string, pieces: readonly Piece[]): number {
  const tensors = pieces.map(({ tensor, start, length }) => {
    const extent = builder.shape(tensor)[1] ?? 1;
    if (length === extent) return tensor;
    return builder.op('slice', name, [tensor], { starts: [start], ends: [start + length], axes: [1], steps: [1] });
  });
  return tensors.length === 1 ? tensors[0]! : builder.op('concat', name, tensors, { axis: 1 });
}

/** Whether the value is its pieces side by side in all but its shape. */
function inOrder({ factors, axes }: AxisView): boolean {
  const order = axes.flat().filter((factor) => factors[factor] !== 1);
  return order.every((factor, k) => k === 0 || order[k - 1]! < factor);
}

/** Elements [start, end) of `count` equal parts of axis 1. */
function cut(pieces: readonly Piece[], count: number, start: number, end: number): Piece[] {
  const part = pieces.reduce((sum, { length }) => sum + length, 0) / count;
  const found: Piece[] = [];
  let at = 0;
  for (const piece of pieces) {
    const from = Math.max(start * part, at);
    const to = Math.min(end * part, at + piece.length);
    if (from < to) found.push({ tensor: piece.tensor, start: piece.start + from - at, length: to - from });
    at += piece.length;
  }
  return found;
}

function joinedShape(pieces: readonly Piece[], builder: GraphBuilder): Shape {
  const shape = pieces.length === 0 ? [] : builder.shape(pieces[0]!.tensor);
  if (shape.length < 2) return shape;
  return shape.with(
    1,
    pieces.reduce((sum, { length }) => sum + length, 0),
  );
}

function reshapedTensor(builder: GraphBuilder, { name }: AxisView, tensor: number, shape: Shape): number {
  if (String(builder.shape(tensor)) === String(shape)) return tensor;
  return builder.op('reshape', name, [tensor], { shape });
}

import type { GraphBuilder } from '../builder.ts';
import type { Shape } from '../graph.ts';

/**
 * A value of the file whose axes lie in another order than in the graph, where samples come first. Recurrent layers of ONNX
 * have time first; the nodes that exporters put around them to turn the axes cancel without an op.
 */
export interface AxisView {
  /** What the ops that materialize it are called. */
  readonly name: string;
  /** Consecutive pieces of a tensor along its axis 1; made when first asked for. */
  readonly pieces: () => readonly number[];
  /** The extents of the tensor's axes, some of them as several factors. */
  readonly factors: Shape;
  /** For each axis of the value the factors that it consists of, as indices; none for one of extent 1. */
  readonly axes: readonly (readonly number[])[];
}

/** A tensor of the graph, with its axes in order. */
export function plainView(name: string, tensor: number, shape: Shape): AxisView {
  return { name, pieces: () => [tensor], factors: shape, axes: shape.map((_, axis) => [axis]) };
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
  const elements = from.reduce((a, b) => a * b, 1);
  const kept = asked.map((extent, axis) => (extent === 0 ? (from[axis] ?? 0) : extent));
  const known = kept.filter((extent) => extent !== -1).reduce((a, b) => a * b, 1);
  const to = kept.map((extent) => (extent === -1 ? elements / known : extent));
  if (to.reduce((a, b) => a * b, 1) !== elements) return undefined;
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

/** Whether the value is the tensor itself, in all but its shape. */
function inOrder({ factors, axes }: AxisView): boolean {
  const order = axes.flat().filter((factor) => factors[factor] !== 1);
  return order.every((factor, k) => k === 0 || order[k - 1]! < factor);
}

/** The pieces along axis 1 of a value that is the tensor itself; undefined for any other. */
export function plainPieces(view: AxisView, builder: GraphBuilder): readonly number[] | undefined {
  const pieces = inOrder(view) ? view.pieces() : [];
  const shape = viewShape(view);
  const whole = pieces.reduce((sum, id) => sum + (builder.shape(id)[1] ?? 0), 0);
  const fits = pieces.every((id) => String(shape.with(1, 0)) === String(builder.shape(id).with(1, 0)));
  return fits && whole === shape[1] ? pieces : undefined;
}

/** The value as a tensor of the graph: its pieces put together, its axes turned where that is not avoided. */
export function materialized(view: AxisView, builder: GraphBuilder): number {
  const pieces = view.pieces();
  let tensor = pieces.length === 1 ? pieces[0]! : builder.op('concat', view.name, pieces, { axis: 1 });
  if (!inOrder(view)) {
    tensor = reshapedTensor(builder, view, tensor, view.factors);
    const order = view.axes.flat();
    const rest = [...view.factors.keys()].filter((factor) => !order.includes(factor));
    tensor = builder.op('transpose', view.name, [tensor], { perm: [...order, ...rest] });
  }
  return reshapedTensor(builder, view, tensor, viewShape(view));
}

function reshapedTensor(builder: GraphBuilder, { name }: AxisView, tensor: number, shape: Shape): number {
  if (String(builder.shape(tensor)) === String(shape)) return tensor;
  return builder.op('reshape', name, [tensor], { shape });
}

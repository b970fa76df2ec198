import type { Graph, Op, Tensor } from '../../graph/graph.ts';

/** A graph as rules look at it: from values to the ops around them. */
export interface GraphView {
  readonly graph: Graph;
  tensor(id: number): Tensor;
  /** The op whose first output the value is, if it is of that kind. */
  producer(id: number, kind: string): Op | undefined;
  /** The same, where nothing else reads the value: fused away, it is not missed. */
  inner(id: number, kind: string): Op | undefined;
}

/** An op of one input that goes on from the result of another. */
export interface Step {
  readonly kind: string;
  readonly name: string;
  readonly attributes: Op['attributes'];
}

/** An op that takes the place of another, whose only output it computes, itself or with the steps `after` it. */
export interface Replacement extends Step {
  readonly inputs: readonly number[];
  readonly after?: readonly Step[];
}

/** The kind of a replacement that is its input, as it is: the op that it replaces changes nothing. */
export const SAME = 'same';

/** Recognizes ops that are one op together, by the last of them. */
export type Rule = (view: GraphView, op: Op) => Replacement | undefined;

export function viewOf(graph: Graph): GraphView {
  const producers = new Map(graph.ops.map((op) => [op.outputs[0], op]));
  const reads = new Map<number, number>();
  for (const id of [...graph.outputs, ...graph.ops.flatMap(({ inputs }) => inputs)]) {
    reads.set(id, (reads.get(id) ?? 0) + 1);
  }
  const producer = (id: number, kind: string): Op | undefined => {
    const op = producers.get(id);
    return op?.kind === kind ? op : undefined;
  };
  return {
    graph,
    tensor: (id) => graph.tensors[id]!,
    producer,
    inner: (id, kind) => (reads.get(id) === 1 ? producer(id, kind) : undefined),
  };
}

/** The number that an op of two operands has as one of them: x * 2, but not 2 - x. */
export function scalarOf({ attributes }: Op): number | undefined {
  const { scalar, scalarFirst } = attributes;
  return typeof scalar === 'number' && scalarFirst !== true ? scalar : undefined;
}

/** A value as a multiple of another: what single-use multiplications and divisions by numbers make of it. */
export function multiple(view: GraphView, id: number): { readonly of: number; readonly factor: number } {
  const mul = view.inner(id, 'mul');
  const div = view.inner(id, 'div');
  // 2 * x is x * 2.
  const [times, by] = [mul?.attributes['scalar'], div && scalarOf(div)];
  const next = typeof times === 'number' ? mul!.inputs[0]! : by === undefined ? undefined : div!.inputs[0]!;
  if (next === undefined) return { of: id, factor: 1 };
  const inner = multiple(view, next);
  return { of: inner.of, factor: inner.factor * (typeof times === 'number' ? times : 1 / by!) };
}

/** Whether two numbers are the same up to what float32 keeps of them. */
export function near(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-5 * Math.abs(b);
}

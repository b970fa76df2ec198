import type { GraphBuilder } from '../../training/builder.ts';
import type { Shape } from '../../graph/graph.ts';
import type { AxisView, Piece } from './axis-view.ts';
import type { RecurrentNode } from './node.ts';
import type { Unrolled } from './unroll.ts';

/**
 * The results of a node as ONNX has them: y [S, directions, N, H], the states [directions, N, H]; with samples first in
 * layout 1. In the graph y of all directions lies side by side, [N, S, directions * H], in a piece for each group of steps.
 * @returns by output of the node; undefined where the cell has no second state
 */
export function resultViews(
  builder: GraphBuilder,
  { node, timeFirst }: RecurrentNode,
  unrolled: readonly Unrolled[],
): (AxisView | undefined)[] {
  const [first, second] = unrolled;
  const [samples, units] = builder.shape(first!.hidden);
  const whole = (tensor: number): Piece => ({ tensor, start: 0, length: builder.shape(tensor)[1]! });
  const directions = second === undefined ? [] : [unrolled.length];
  const view = (pieces: () => readonly Piece[], factors: Shape, axes: AxisView['axes']): AxisView => ({
    name: node.name,
    pieces: once(pieces),
    factors,
    axes,
  });
  const steps = first!.results.reduce((sum, id) => sum + whole(id).length, 0);
  const results = (): Piece[] =>
    first!.results.map((id, group) => {
      const other = second?.results[group];
      return whole(other === undefined ? id : builder.op('concat', node.name, [id, other], { axis: 2 }));
    });
  const [direction, last] = second === undefined ? [[], [2]] : [[2], [3]];
  const y = timeFirst ? [[1], direction, [0], last] : [[0], [1], direction, last];
  // Factors of a state: samples, directions where there are two, units.
  const [stateDirection, stateLast] = second === undefined ? [[], [1]] : [[1], [2]];
  const state = timeFirst ? [stateDirection, [0], stateLast] : [[0], stateDirection, stateLast];
  return [
    view(results, [samples!, steps, ...directions, units!], y),
    ...(['hidden', 'memory'] as const).map((which) => {
      const ids = unrolled.map((each) => each[which]).filter((id) => id !== undefined);
      return ids.length === 0 ? undefined : view(() => ids.map(whole), [samples!, ...directions, units!], state);
    }),
  ];
}

/** The function, called at most once. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

import { graphlib, layout } from '@dagrejs/dagre';
import type { EdgeLabel, GraphLabel, NodeLabel } from '@dagrejs/dagre';
import type { Graph } from '../../soap/graph/graph.ts';
import { producersOf } from '../../soap/tasks/layout.ts';
import { foldLayout } from './fold-layout.ts';
import type { GraphLayout } from './layout.ts';
import { OP_BOX } from './page-data.ts';

/** Between the boxes of two layers. */
const LAYER_GAP = 34;

/** Ops beyond which layers are found the quick way. */
const MANY_OPS = 300;

/** Lays a graph out in layers from left to right (Sugiyama's method, as dagre has it), a long one in lines. */
export function layOutGraph(graph: Graph): GraphLayout {
  const drawing = new graphlib.Graph<GraphLabel, NodeLabel, EdgeLabel>();
  const ranker = graph.ops.length > MANY_OPS ? 'tight-tree' : 'network-simplex';
  drawing.setGraph({ rankdir: 'LR', nodesep: 18, ranksep: LAYER_GAP, marginx: 16, marginy: 16, ranker });
  drawing.setDefaultEdgeLabel(() => ({}));
  for (const { id } of graph.ops) drawing.setNode(String(id), { ...OP_BOX });
  const successors = successorsOf(graph);
  successors.forEach((ids, from) => {
    for (const to of ids) drawing.setEdge(String(from), String(to));
  });
  layout(drawing);
  const { width = 0, height = 0 } = drawing.graph();
  const drawn: GraphLayout = {
    width,
    height,
    ops: graph.ops.map(({ id }) => {
      const { x, y } = drawing.node(String(id));
      return { x: Math.round(x), y: Math.round(y) };
    }),
    edges: drawing.edges().map((edge: { readonly v: string; readonly w: string }) => {
      const points: readonly { readonly x: number; readonly y: number }[] = drawing.edge(edge).points;
      return points.map(({ x, y }) => [Math.round(x), Math.round(y)] as const);
    }),
    successors,
  };
  return foldLayout(drawn, OP_BOX.width + LAYER_GAP);
}

function successorsOf(graph: Graph): number[][] {
  const producers = producersOf(graph);
  const successors = graph.ops.map(() => new Set<number>());
  for (const { id, inputs } of graph.ops) {
    for (const tensor of inputs) {
      const producer = producers[tensor];
      if (producer !== undefined) successors[producer.op.id]!.add(id);
    }
  }
  return successors.map((ids) => [...ids]);
}

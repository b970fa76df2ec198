import type { Graph, Op } from '../graph/graph.ts';

/** Ids of the ops whose results only losses read: the output layers of language models, say. */
export function outputLayers(graph: Graph): ReadonlySet<number> {
  const read = new Set(graph.ops.filter((op) => isLoss(graph, op)).flatMap(({ inputs }) => inputs));
  return new Set(graph.ops.filter(({ outputs }) => outputs.some((tensor) => read.has(tensor))).map(({ id }) => id));
}

/** Whether an op's result is one of the graph's: where a loss is attached, that loss. */
export function isLoss(graph: Graph, { outputs }: Op): boolean {
  return outputs.some((tensor) => graph.outputs.includes(tensor));
}

import type { Model } from '../../soap/graph/graph.ts';

/**
 * All that a graph means: ops by kind, with what they read by name and shape. End padding that no window reaches is not
 * exported, so it is left out; the output shapes hold what remains of it.
 */
export function meaning({ graph, weights }: Model): unknown {
  const produced = new Map(graph.ops.map(({ id, outputs }) => [outputs[0], `op ${id}`]));
  return {
    ops: graph.ops.map(({ kind, attributes, inputs, outputs }) => ({
      kind,
      attributes: { ...attributes, padsEnd: undefined },
      reads: inputs.map((id) => produced.get(id) ?? graph.tensors[id]!.name),
      shapes: [...inputs, ...outputs].map((id) => graph.tensors[id]!.shape),
    })),
    inputs: graph.inputs.map((id) => graph.tensors[id]),
    outputs: graph.outputs.map((id) => produced.get(id)),
    weights: [...weights],
  };
}

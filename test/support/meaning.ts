import type { Attributes, Model } from '../../soap/graph/graph.ts';

/**
 * All that a graph means: ops by kind, with what they read by name and shape. End padding that no window reaches is not
 * exported, so it is left out; the output shapes hold what remains of it. Numbers are compared as float32, which files hold.
 */
export function meaning({ graph, weights }: Model): unknown {
  const produced = new Map(graph.ops.map(({ id, outputs }) => [outputs[0], `op ${id}`]));
  return {
    ops: graph.ops.map(({ kind, attributes, inputs, outputs }) => ({
      kind,
      attributes: { ...rounded(attributes), padsEnd: undefined },
      reads: inputs.map((id) => produced.get(id) ?? graph.tensors[id]!.name),
      shapes: [...inputs, ...outputs].map((id) => graph.tensors[id]!.shape),
    })),
    inputs: graph.inputs.map((id) => graph.tensors[id]),
    outputs: graph.outputs.map((id) => produced.get(id)),
    weights: [...weights],
  };
}

function rounded(attributes: Attributes): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, typeof value === 'number' ? Math.fround(value) : value]),
  );
}

import type { Graph } from './graph.ts';

/** Where gradients go in a graph. */
export interface GradientFlow {
  /** By tensor id: whether training needs its gradient. */
  readonly tensors: readonly boolean[];
  /** By op id, then input: whether the op's backward pass gives the gradient of the input. An op that gives none has no such pass. */
  readonly inputs: readonly (readonly boolean[])[];
}

/**
 * A gradient is wanted for parameters and for whatever is computed from them, as far as the graph's results, its losses, depend
 * on it by more than whole numbers: these, and so comparisons, pass no gradient on.
 */
export function gradientFlow(graph: Graph): GradientFlow {
  const depends = graph.tensors.map(({ role }) => role === 'parameter');
  for (const op of graph.ops) {
    if (!op.inputs.some((tensor) => depends[tensor])) continue;
    for (const tensor of op.outputs) depends[tensor] = graph.tensors[tensor]!.dtype === 'float32';
  }
  const tensors = graph.tensors.map(() => false);
  for (const tensor of graph.outputs) tensors[tensor] = depends[tensor]!;
  const inputs = graph.ops.map((): readonly boolean[] => []);
  // Whatever reads a tensor comes after what computes it.
  for (const op of graph.ops.toReversed()) {
    const passes = op.outputs.some((tensor) => tensors[tensor]);
    inputs[op.id] = op.inputs.map((tensor) => passes && depends[tensor]!);
    for (const [input, tensor] of op.inputs.entries()) tensors[tensor] ||= inputs[op.id]![input]!;
  }
  return { tensors, inputs };
}

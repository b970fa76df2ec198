import type { Graph } from './graph.ts';
import { isTrained } from './graph.ts';

/**
 * By op id, then input: whether the op's backward pass gives the gradient of the input; an op that gives none has no such pass. A
 * gradient is wanted for parameters that are trained and for whatever is computed from them, as far as the graph's results, its losses,
 * depend on it by more than whole numbers: these, and so comparisons, pass no gradient on.
 */
export function inputGradients(graph: Graph): readonly (readonly boolean[])[] {
  const depends = graph.tensors.map(isTrained);
  for (const op of graph.ops) {
    if (!op.inputs.some((tensor) => depends[tensor])) continue;
    for (const tensor of op.outputs) depends[tensor] = graph.tensors[tensor]!.dtype === 'float32';
  }
  const isWanted = graph.tensors.map(() => false);
  for (const tensor of graph.outputs) isWanted[tensor] = depends[tensor]!;
  const wanted = graph.ops.map((): readonly boolean[] => []);
  // Whatever reads a tensor comes after what computes it.
  for (const op of graph.ops.toReversed()) {
    const passes = op.outputs.some((tensor) => isWanted[tensor]);
    wanted[op.id] = op.inputs.map((tensor) => passes && depends[tensor]!);
    for (const [input, tensor] of op.inputs.entries()) isWanted[tensor] ||= wanted[op.id]![input]!;
  }
  return wanted;
}

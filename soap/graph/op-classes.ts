import type { Graph, Op } from './graph.ts';

/** By op id a number that is equal for ops that are alike: of the same kind, with the same attributes, shapes and roles. */
export function opClasses(graph: Graph): Int32Array {
  const classes = new Map<string, number>();
  return Int32Array.from(graph.ops, (op) => {
    const key = likeness(graph, op);
    const known = classes.get(key) ?? classes.size;
    classes.set(key, known);
    return known;
  });
}

function likeness({ tensors }: Graph, { kind, attributes, inputs, outputs }: Op): string {
  const shapes = (ids: readonly number[]): string => ids.map((id) => tensors[id]!.shape.join('x')).join();
  const roles = inputs.map((id) => tensors[id]!.role).join();
  return `${kind}|${JSON.stringify(attributes)}|${shapes(inputs)}|${roles}|${shapes(outputs)}`;
}

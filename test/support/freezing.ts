import { freezeNamed } from '../../soap/graph/freeze.ts';
import { isTrained } from '../../soap/graph/graph.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { createRandom } from '../../soap/random.ts';

/** Names of a graph's parameters, in its order. */
export function parameterNames({ tensors }: Graph): string[] {
  return tensors.flatMap(({ name, role }) => (role === 'parameter' ? [name] : []));
}

/** Sets of parameters to freeze: the first half, as in fine-tuning, one layer in the middle, and every other at random. */
export function usualFreezes(graph: Graph, seed: number): [title: string, names: ReadonlySet<string>][] {
  const names = parameterNames(graph);
  const half = Math.ceil(names.length / 2);
  const random = createRandom(seed);
  const drawn = names.slice(0, -1).filter(() => random.integer(2) === 0);
  return [
    ['the first half', new Set(names.slice(0, half))],
    ['the middle', new Set(names.slice(half - 1, half + 1))],
    ['some at random', new Set(drawn.length > 0 ? drawn : names.slice(0, 1))],
  ];
}

/** The graph with the first half of its parameters frozen. */
export function halfFrozen(graph: Graph): Graph {
  return freezeNamed(graph, usualFreezes(graph, 0)[0]![1]);
}

/** Names of the parameters that are trained. */
export function trainedNamesOf({ tensors }: Graph): string[] {
  return tensors.flatMap((tensor) => (isTrained(tensor) ? [tensor.name] : []));
}

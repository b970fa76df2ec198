import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../../soap/onnx/model.ts';
import type { GraphValue } from './row-groups.ts';
import { knownValues } from './row-groups.ts';

/** Which nodes give and read values. */
export interface Surroundings {
  readonly values: ReadonlyMap<string, GraphValue>;
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  /** The node that gives a value. */
  readonly givers: ReadonlyMap<string, OnnxNode>;
  readonly readers: ReadonlyMap<string, readonly OnnxNode[]>;
  /** The one node that reads a value, be it twice, unless the graph gives it or others read it. */
  readonly onlyReaders: ReadonlyMap<string, OnnxNode>;
}

export function surroundingsOf(graph: OnnxGraph): Surroundings {
  const readers = new Map<string, OnnxNode[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(readsOf([node]))) readers.set(input, [...(readers.get(input) ?? []), node]);
  }
  const results = new Set(graph.outputs.map(({ name }) => name));
  const only = [...readers].flatMap(([name, nodes]) =>
    nodes.length === 1 && !results.has(name) ? [[name, nodes[0]!] as const] : [],
  );
  const givers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  return { values: knownValues(graph), constants: graph.initializers, givers, readers, onlyReaders: new Map(only) };
}

/** What nodes read that none of them gives, be it in a graph within one. */
export function readsOf(nodes: readonly OnnxNode[]): string[] {
  const within = nodes.flatMap(({ attributes }) =>
    Object.values(attributes).flatMap((attribute) => {
      if (attribute.type !== 'graph') return [];
      const { inputs, initializers, nodes: inner } = attribute.value;
      const own = new Set([...inputs.map(({ name }) => name), ...initializers.keys()]);
      return readsOf(inner).filter((name) => !own.has(name));
    }),
  );
  const given = new Set(nodes.flatMap(({ outputs }) => outputs));
  return [...nodes.flatMap(({ inputs }) => inputs), ...within].filter((name) => !given.has(name));
}

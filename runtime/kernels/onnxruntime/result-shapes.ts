import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../../soap/onnx/model.ts';

/**
 * Leaves out the Reshape that a result of a graph comes from: the library would copy what it reads into the memory of the result. The
 * result then has the axes of what was reshaped, of the same elements.
 */
export function useShapesOfSources(graph: OnnxGraph): OnnxGraph {
  const computed = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  const results = new Set(graph.outputs.map(({ name }) => name));
  const shapes = new Map(graph.inner?.map(({ name, shape }) => [name, shape]));
  const initializers = new Map<string, OnnxTensor>(graph.initializers);
  /** The results by the names of what they come from. */
  const resultOf = new Map<string, string>();
  const reshapes = new Map<string, OnnxNode>();
  for (const { name } of graph.outputs) {
    const node = computed.get(name);
    const source = node?.inputs[0];
    if (node?.opType !== 'Reshape' || source === undefined || resultOf.has(source)) continue;
    if (results.has(source) || !computed.has(source) || !shapes.has(source)) continue;
    resultOf.set(source, name);
    reshapes.set(name, node);
  }
  const asBefore = (name: string): string => (reshapes.has(name) ? `${name}_reshaped` : (resultOf.get(name) ?? name));
  const read = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  const nodes = graph.nodes.flatMap((node): OnnxNode[] => {
    const [y] = node.outputs;
    const isReshape = reshapes.get(y!) === node;
    if (isReshape && !read.has(y!)) return [];
    const inputs = node.inputs.map(asBefore);
    if (isReshape) return [{ ...node, inputs, outputs: [asBefore(y!)] }];
    return [{ ...node, inputs, outputs: node.outputs.map((name) => resultOf.get(name) ?? name) }];
  });
  const sources = new Map([...resultOf].map(([source, result]) => [result, shapes.get(source)!]));
  const outputs = graph.outputs.map((value) => ({ ...value, shape: sources.get(value.name) ?? value.shape }));
  const inner = graph.inner?.flatMap((value) => {
    if (resultOf.has(value.name)) return [];
    return reshapes.has(value.name) ? [{ ...value, name: asBefore(value.name) }] : [value];
  });
  const reshaped = graph.outputs
    .filter(({ name }) => reshapes.has(name))
    .map((value) => ({ ...value, name: asBefore(value.name) }));
  return { ...graph, nodes, outputs, initializers, ...(inner === undefined ? {} : { inner: [...inner, ...reshaped] }) };
}

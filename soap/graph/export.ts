import type { OnnxGraph, OnnxNode, OnnxTensor } from '../onnx/model.ts';
import type { Value } from '../ops/emitter.ts';
import { KERNEL_OPSET } from '../ops/emitter.ts';
import { partKernels, wholePart } from '../ops/kernel.ts';
import type { Graph, Model, Op } from './graph.ts';

/** Name of the symbolic batch in exported files. */
const BATCH = 'batch';

/**
 * Writes a model as an ONNX graph with its weights inside and a free batch. The nodes are those of each op's own forward
 * kernel, so what is exported is what was trained.
 */
export function exportOnnx({ graph, weights }: Model): OnnxGraph {
  const initializers = new Map<string, OnnxTensor>();
  for (const { name, shape, role } of graph.tensors) {
    if (role !== 'parameter') continue;
    const data = weights.get(name);
    if (data === undefined) throw new Error(`parameter '${name}' has no values; expected ${shape.join('x')} of them`);
    initializers.set(name, { dtype: 'float32', shape, data });
  }
  const names = valueNames(graph);
  const nodes = graph.ops.flatMap((op) => opNodes(graph, op, names, initializers));
  const value = (id: number): Value => {
    const { dtype, shape } = graph.tensors[id]!;
    return { name: names[id]!, dtype, shape };
  };
  return {
    name: graph.name,
    opset: KERNEL_OPSET,
    inputs: graph.inputs.map((id) => ({ ...value(id), shape: [BATCH, ...value(id).shape.slice(1)] })),
    outputs: graph.outputs.map((id) => ({ ...value(id), shape: [BATCH, ...value(id).shape.slice(1)] })),
    initializers,
    nodes,
  };
}

/** By tensor id, a name of its own: results, which are called as their ops, give way to inputs and parameters. */
function valueNames(graph: Graph): string[] {
  const taken = new Set(graph.tensors.filter(({ role }) => role !== 'activation').map(({ name }) => name));
  return graph.tensors.map(({ name, role }) => {
    if (role !== 'activation') return name;
    let unique = name;
    for (let suffix = 2; taken.has(unique); suffix++) unique = `${name}:${suffix}`;
    taken.add(unique);
    return unique;
  });
}

/** The forward nodes of a whole op, with the graph's names in place of the kernel's. */
function opNodes(
  graph: Graph,
  op: Op,
  valueName: readonly string[],
  initializers: Map<string, OnnxTensor>,
): OnnxNode[] {
  const forward = partKernels(graph, op, wholePart(graph, op), []).forward.main;
  const names = new Map<string, string>();
  op.inputs.forEach((id, i) => names.set(`input${i}`, valueName[id]!));
  op.outputs.forEach((id, i) => names.set(`output${i}`, valueName[id]!));
  const rename = (name: string): string => names.get(name) ?? `${op.name}/${name}`;
  for (const [name, tensor] of forward.initializers) initializers.set(rename(name), tensor);
  return forward.nodes.map((node, i) => ({
    ...node,
    name: i === 0 ? op.name : `${op.name}/${node.name}`,
    inputs: node.inputs.map(rename),
    outputs: withoutSaved(node).map(rename),
  }));
}

/** Outputs that only the backward pass reads are left out where they come last. */
function withoutSaved({ outputs }: OnnxNode): readonly string[] {
  return outputs.filter((name, i) => i === 0 || !name.startsWith('saved'));
}

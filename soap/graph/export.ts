import type { OnnxGraph, OnnxNode, OnnxTensor } from '../onnx/model.ts';
import type { Value } from '../ops/emitter.ts';
import { float, int, KERNEL_OPSET } from '../ops/emitter.ts';
import { runningMomentum } from '../ops/batch-norm.ts';
import { numberAttribute } from '../ops/op.ts';
import { exportedOp } from '../ops/kernel.ts';
import type { Graph, Model, Moments, Op } from './graph.ts';

/** Name of the symbolic batch in exported files. */
const BATCH = 'batch';

/** Name of the value that holds the number of samples; no op is called so. */
const SAMPLES = '/samples';

/** Nodes that only prepare what another computes: an op is not called after them. */
const PREPARING = new Set(['Constant', 'Reshape', 'Transpose', 'Slice', 'Cast']);

/**
 * Writes a model as an ONNX graph with its weights inside and a free batch. The nodes are those of each op's own forward
 * kernel, or what the op has for files in their place; initializers are the weights, and running moments where the model has
 * them: batch normalizations then infer by those, else by the batch.
 */
export function exportOnnx({ graph, weights, moments }: Model): OnnxGraph {
  const initializers = new Map<string, OnnxTensor>();
  for (const { name, shape, role } of graph.tensors) {
    if (role !== 'parameter') continue;
    const data = weights.get(name);
    if (data === undefined) throw new Error(`parameter '${name}' has no values; expected ${shape.join('x')} of them`);
    initializers.set(name, { dtype: 'float32', shape, data });
  }
  const names = valueNames(graph);
  const nodes = graph.ops.flatMap((op) => {
    const known = moments?.get(op.name);
    return known === undefined ? opNodes(graph, op, names) : [inferringNode(op, names, known, initializers)];
  });
  if (nodes.some(({ inputs }) => inputs.includes(SAMPLES))) nodes.unshift(batchNode(names[graph.inputs[0]!]!));
  const value = (id: number): Value => {
    const { dtype, shape } = graph.tensors[id]!;
    return { name: names[id]!, dtype, shape };
  };
  return {
    name: graph.name,
    opset: KERNEL_OPSET,
    inputs: graph.inputs.map((id) => ({ ...value(id), shape: freeShape(graph, id) })),
    outputs: graph.outputs.map((id) => ({ ...value(id), shape: freeShape(graph, id) })),
    initializers,
    nodes,
  };
}

/** A batch normalization that infers by its running moments, which become initializers. */
function inferringNode(
  { name, attributes, inputs, outputs }: Op,
  valueName: readonly string[],
  { mean, variance }: Moments,
  initializers: Map<string, OnnxTensor>,
): OnnxNode {
  const added = [
    [`${name}.running_mean`, mean],
    [`${name}.running_var`, variance],
  ] as const;
  for (const [key, data] of added) initializers.set(key, { dtype: 'float32', shape: [data.length], data });
  return {
    name,
    opType: 'BatchNormalization',
    domain: '',
    inputs: [...inputs.map((id) => valueName[id]!), ...added.map(([key]) => key)],
    outputs: outputs.map((id) => valueName[id]!),
    attributes: {
      epsilon: float(numberAttribute(attributes, 'epsilon')),
      momentum: float(runningMomentum(attributes)),
    },
  };
}

/** The number of samples that the first input has. */
function batchNode(input: string): OnnxNode {
  const attributes = { start: int(0), end: int(1) };
  return { name: SAMPLES, opType: 'Shape', domain: '', inputs: [input], outputs: [SAMPLES], attributes };
}

/** The shape of an input or output of the graph, with the samples, or what counts a multiple of them, left free. */
function freeShape(graph: Graph, id: number): (number | string)[] {
  const batch = graph.tensors[graph.inputs[0]!]!.shape[0]!;
  const [first = 1, ...rest] = graph.tensors[id]!.shape;
  return [first === batch ? BATCH : `${BATCH}*${first / batch}`, ...rest];
}

/** By tensor id, a name of its own: results, which are called as their ops, give way to inputs and parameters. */
function valueNames(graph: Graph): string[] {
  const taken = new Set([
    SAMPLES,
    ...graph.tensors.filter(({ role }) => role !== 'activation').map(({ name }) => name),
  ]);
  return graph.tensors.map(({ name, role }) => {
    if (role !== 'activation') return name;
    let unique = name;
    for (let suffix = 2; taken.has(unique); suffix++) unique = `${name}:${suffix}`;
    taken.add(unique);
    return unique;
  });
}

/** The nodes of a whole op, with the graph's names in place of the kernel's, and Constant nodes for its constants. */
function opNodes(graph: Graph, op: Op, valueName: readonly string[]): OnnxNode[] {
  const exported = exportedOp(graph, op);
  // An omitted input stays one.
  const names = new Map([
    ['', ''],
    ['batch', SAMPLES],
  ]);
  op.inputs.forEach((id, i) => names.set(`input${i}`, valueName[id]!));
  op.outputs.forEach((id, i) => names.set(`output${i}`, valueName[id]!));
  const rename = (name: string): string => names.get(name) ?? `${op.name}/${name}`;
  const constants = [...exported.initializers].map(([name, value]): OnnxNode => ({
    name: `${op.name}/${name}`,
    opType: 'Constant',
    domain: '',
    inputs: [],
    outputs: [rename(name)],
    attributes: { value: { type: 'tensor', value } },
  }));
  const main = exported.nodes.find(({ opType }) => !PREPARING.has(opType)) ?? exported.nodes.at(-1);
  const nodes = exported.nodes.map((node) => ({
    ...node,
    name: node === main ? op.name : `${op.name}/${node.name}`,
    inputs: node.inputs.map(rename),
    outputs: withoutSaved(node).map(rename),
  }));
  return [...constants, ...nodes];
}

/** Outputs that only the backward pass reads are left out where they come last. */
function withoutSaved({ outputs }: OnnxNode): readonly string[] {
  return outputs.filter((name, i) => i === 0 || !name.startsWith('saved'));
}

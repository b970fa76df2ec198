import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../onnx/model.ts';
import type { Value } from '../ops/emitter.ts';
import { float, int, KERNEL_OPSET } from '../ops/emitter.ts';
import { runningMomentum } from '../ops/batch-norm.ts';
import { numberAttribute } from '../ops/op.ts';
import { exportedOp } from '../ops/kernel.ts';
import { FileError } from '../schema/check.ts';
import { microBatchSizeOf } from '../training/batch-size.ts';
import { doubledShapes, sampleAxis } from './doubled-shapes.ts';
import type { Graph, Model, Moments, Op, Shape } from '../graph/graph.ts';
import { importedShapes } from './import.ts';

/** Name of the symbolic batch in exported files. */
const BATCH = 'batch';

/** Name of the value that holds the number of samples; no op is called so. */
const SAMPLES = '/samples';

/** Nodes that take a constant for a weight where the file says nothing of it. */
const WEIGHTED = new Set(['Conv', 'ConvTranspose', 'Gather', 'Gemm']);

/** Nodes that only prepare what another computes: an op is not called after them. */
const PREPARING = new Set(['Constant', 'Reshape', 'Transpose', 'Slice', 'Cast', 'Concat']);

/**
 * Writes a model as an ONNX graph with its weights inside. The nodes are those of each op's own forward kernel, or what the
 * op has for files in their place; initializers are the weights, and running moments where the model has them: batch
 * normalizations then infer by those, else by the batch. Constants in the place of weights are called buffers. The batch is free, unless the graph proves to have other shapes with
 * twice as many samples than the model would have: then the shapes of inputs and outputs have the model's batch as a number.
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
  const doubled = doubledShapes(graph);
  const nodes = graph.ops.flatMap((op) => {
    const known = moments?.get(op.name);
    return known === undefined ? opNodes(graph, op, names, doubled) : [inferringNode(op, names, known, initializers)];
  });
  if (nodes.some(({ inputs }) => inputs.includes(SAMPLES))) nodes.unshift(batchNode(names[graph.inputs[0]!]!));
  const value = (id: number): Value => {
    const { dtype, shape } = graph.tensors[id]!;
    return { name: names[id]!, dtype, shape };
  };
  const free = (id: number): OnnxValue => ({ ...value(id), shape: freeShape(graph, id, doubled[id]!) });
  const buffers = constantWeights(nodes);
  const common = {
    name: graph.name,
    opset: KERNEL_OPSET,
    initializers,
    ...(buffers.size > 0 && { buffers }),
    nodes,
  };
  const onnx = { ...common, inputs: graph.inputs.map(free), outputs: graph.outputs.map(free) };
  if (isFree(onnx, graph, names, doubled)) return onnx;
  return { ...common, inputs: graph.inputs.map(value), outputs: graph.outputs.map(value) };
}

/** Names of constants that {@link WEIGHTED} nodes read: of filters and tables that are not trained, and of windows that take a mean. */
function constantWeights(nodes: readonly OnnxNode[]): Set<string> {
  const floats = nodes.filter(
    ({ attributes: { value } }) => value?.type === 'tensor' && value.value.dtype === 'float32',
  );
  const constants = new Set(floats.flatMap(({ outputs }) => outputs));
  const read = nodes.filter(({ opType }) => WEIGHTED.has(opType)).flatMap(({ inputs }) => inputs);
  return new Set(read.filter((name) => constants.has(name)));
}

/** The one batch that an exported graph takes; undefined where it takes any. */
export function fixedBatch({ inputs }: OnnxGraph): number | undefined {
  const extent = inputs[0]?.shape[0];
  return typeof extent === 'number' ? extent : undefined;
}

/** Whether an exported graph, read with twice the batch, has all shapes that the model would have. */
function isFree(onnx: OnnxGraph, graph: Graph, names: readonly string[], doubled: readonly Shape[]): boolean {
  const shapes = shapesAt(onnx, 2 * microBatchSizeOf(graph));
  // What cannot be read with its own batch either tells nothing.
  if (shapes === undefined) return shapesAt(onnx, microBatchSizeOf(graph)) === undefined;
  return graph.ops
    .flatMap(({ outputs }) => outputs)
    .every((id) => {
      const shape = shapes.get(names[id]!);
      return shape === undefined || String(shape) === String(doubled[id]);
    });
}

/** Undefined where the graph cannot be read with so many samples. */
function shapesAt(onnx: OnnxGraph, batch: number): ReadonlyMap<string, Shape> | undefined {
  try {
    return importedShapes(onnx, { batch });
  } catch (error) {
    if (error instanceof FileError) return undefined;
    throw error;
  }
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
function freeShape(graph: Graph, id: number, doubled: Shape): (number | string)[] {
  const { shape } = graph.tensors[id]!;
  const batch = microBatchSizeOf(graph);
  return shape.map((extent, axis) => {
    if (extent === doubled[axis]) return extent;
    return extent === batch ? BATCH : `${BATCH}*${extent / batch}`;
  });
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
function opNodes(graph: Graph, op: Op, valueName: readonly string[], doubled: readonly Shape[]): OnnxNode[] {
  const axes = (ids: readonly number[]): (number | undefined)[] =>
    ids.map((id) => sampleAxis(graph.tensors[id]!.shape, doubled[id]!));
  const samples = { inputs: axes(op.inputs), outputs: axes(op.outputs), batch: microBatchSizeOf(graph) };
  const exported = exportedOp(graph, op, samples);
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

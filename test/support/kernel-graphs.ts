import type { OnnxAttribute, OnnxDType, OnnxGraph, OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';
import type { Kernel, KernelEngine, TensorBuffer, TensorMemory } from '../../runtime/kernels/kernels.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** Attributes, written plainly: an integer is an int, `float(x)` a float. */
export type PlainAttributes = Readonly<Record<string, number | string | readonly number[] | OnnxAttribute>>;

/** One node with its inputs; `constants` are initializers, placed by input index. */
export interface NodeCase {
  readonly op: string;
  readonly domain?: string;
  readonly attributes?: PlainAttributes;
  /** Undefined is an omitted optional input. */
  readonly inputs: readonly (OnnxTensor | undefined)[];
  /** Indices of inputs that are initializers. */
  readonly constant?: readonly number[];
}

export function f32(shape: readonly number[], values: readonly number[]): OnnxTensor {
  return { dtype: 'float32', shape, data: Float32Array.from(values) };
}
export function f64(shape: readonly number[], values: readonly number[]): OnnxTensor {
  return { dtype: 'float64', shape, data: Float64Array.from(values) };
}
export function i64(shape: readonly number[], values: readonly number[]): OnnxTensor {
  return { dtype: 'int64', shape, data: BigInt64Array.from(values, BigInt) };
}
export function i32(shape: readonly number[], values: readonly number[]): OnnxTensor {
  return { dtype: 'int32', shape, data: Int32Array.from(values) };
}
export function bool(shape: readonly number[], values: readonly number[]): OnnxTensor {
  return { dtype: 'bool', shape, data: Uint8Array.from(values) };
}
/** A constant list of integers: axes, a shape. */
export function list(...values: number[]): OnnxTensor {
  return i64([values.length], values);
}
export function float(value: number): OnnxAttribute {
  return { type: 'float', value };
}

/** Values without pattern in [-1, 1], the same on every call. */
export function filled(shape: readonly number[], seed = 1): OnnxTensor {
  let state = (seed * 2654435761) >>> 0;
  const values = Array.from({ length: elementCount(shape) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * 0.999;
  });
  return f32(shape, values);
}

export function node(op: string, inputs: readonly string[], outputs: readonly string[]): OnnxNode {
  return { name: `the ${op}`, opType: op, domain: '', inputs, outputs, attributes: {} };
}

/** A graph of one node whose outputs have the given types and shapes; inputs are x0, x1 ..., outputs y0, y1 ... */
export function nodeGraph(
  { op, domain = '', attributes = {}, inputs, constant = [] }: NodeCase,
  outputs: readonly { readonly dtype: OnnxDType; readonly shape: readonly number[] }[],
  opset: number = 17,
): OnnxGraph {
  const values = inputs.flatMap((tensor, index) => (tensor ? [{ name: `x${index}`, index, tensor }] : []));
  return {
    name: op,
    opset,
    inputs: values
      .filter(({ index }) => !constant.includes(index))
      .map(({ name, tensor: { dtype, shape } }) => ({ name, dtype, shape })),
    outputs: outputs.map(({ dtype, shape }, index) => ({ name: `y${index}`, dtype, shape })),
    initializers: new Map(
      values.filter(({ index }) => constant.includes(index)).map(({ name, tensor }) => [name, tensor]),
    ),
    nodes: [
      {
        ...node(
          op,
          inputs.map((tensor, index) => (tensor ? `x${index}` : '')),
          outputs.map((_, index) => `y${index}`),
        ),
        domain,
        attributes: Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, attributeOf(value)])),
      },
    ],
  };
}

function attributeOf(value: PlainAttributes[string]): OnnxAttribute {
  if (typeof value === 'number') return { type: 'int', value };
  if (typeof value === 'string') return { type: 'string', value };
  return 'type' in value ? value : { type: 'ints', value };
}

/** Compiles, binds, runs and releases a one-node graph. Returns the memory of its outputs. */
export async function runNode(
  engine: KernelEngine,
  nodeCase: NodeCase,
  outputs: readonly { readonly dtype: OnnxDType; readonly shape: readonly number[] }[],
  opset?: number,
): Promise<TensorMemory[]> {
  const graph = nodeGraph(nodeCase, outputs, opset);
  const inputs = Object.fromEntries(nodeCase.inputs.map((tensor, index) => [`x${index}`, tensor?.data ?? []]));
  const results = await runGraph(engine, graph, inputs);
  return outputs.map((_, index) => results[`y${index}`]!);
}

type Values = ArrayLike<number | bigint>;

/** Compiles, runs and releases a graph, on buffers that hold the inputs. Returns what the outputs hold, by name. */
export async function runGraph(
  engine: KernelEngine,
  graph: OnnxGraph,
  inputs: Readonly<Record<string, Values>>,
): Promise<Record<string, TensorMemory>> {
  const kernel = engine.compile(graph);
  try {
    return await runKernel(engine, kernel, graph, inputs);
  } finally {
    kernel.release();
  }
}

/** The same of a graph that is compiled. */
export async function runKernel(
  engine: KernelEngine,
  kernel: Kernel,
  graph: OnnxGraph,
  inputs: Readonly<Record<string, Values>>,
): Promise<Record<string, TensorMemory>> {
  const buffers: Record<string, TensorBuffer> = {};
  for (const { name, dtype } of graph.inputs) buffers[name] = await bufferOf(engine, dtype, inputs[name]!);
  for (const { name, dtype, shape } of graph.outputs)
    buffers[name] = engine.allocate(dtype, elementCount(shape.map(Number)));
  const bound = kernel.bind(buffers);
  await bound.run();
  bound.release();
  await engine.download(graph.outputs.map(({ name }) => buffers[name]!));
  return Object.fromEntries(graph.outputs.map(({ name }) => [name, buffers[name]!.host]));
}

/** A buffer that holds values. */
export async function bufferOf(engine: KernelEngine, dtype: OnnxDType, values: Values): Promise<TensorBuffer> {
  const buffer = engine.allocate(dtype, values.length);
  fill(buffer.host, values);
  await engine.upload([buffer]);
  return buffer;
}

/** Writes values of any kind, from the first element on. */
export function fill(memory: TensorMemory, values: Values): void {
  for (let i = 0; i < values.length; i++) {
    if (memory instanceof BigInt64Array) memory[i] = BigInt(values[i]!);
    else memory[i] = Number(values[i]);
  }
}

import { importOnnx } from '../../soap/conversion/import.ts';
import type { Model } from '../../soap/graph/graph.ts';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../../soap/onnx/model.ts';
import { FileError } from '../../soap/schema/check.ts';
import { filled } from './kernel-graphs.ts';

/** Attributes, written plainly: an integer is an int, another number a float. */
type PlainAttributes = Readonly<Record<string, number | string | readonly number[] | OnnxAttribute>>;

/** A node called as its first output. */
export function node(
  opType: string,
  inputs: readonly string[],
  outputs: string | readonly string[],
  attributes: PlainAttributes = {},
): OnnxNode {
  const names = typeof outputs === 'string' ? [outputs] : outputs;
  return {
    name: names[0]!,
    opType,
    domain: '',
    inputs,
    outputs: names,
    attributes: Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, attributeOf(value)])),
  };
}

function attributeOf(value: PlainAttributes[string]): OnnxAttribute {
  if (typeof value === 'number') return { type: Number.isInteger(value) ? 'int' : 'float', value };
  if (typeof value === 'string') return { type: 'string', value };
  return 'type' in value ? value : { type: 'ints', value };
}

/** A Constant node. */
export function constant(name: string, value: OnnxTensor): OnnxNode {
  return node('Constant', [], name, { value: { type: 'tensor', value } });
}

export interface GraphParts {
  readonly nodes: readonly OnnxNode[];
  /** Shapes of float32 inputs by name; `{ x: [4, 6] }` unless said. Names in `integers` are int64. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>;
  readonly integers?: readonly string[];
  /** Weights by name: their shapes, filled with any values, or tensors. */
  readonly weights?: Readonly<Record<string, readonly number[] | OnnxTensor>>;
  readonly opset?: number;
}

/** A graph with the output `y`. */
export function graphOf({
  nodes,
  inputs = { x: [4, 6] },
  integers = [],
  weights = {},
  opset = 17,
}: GraphParts): OnnxGraph {
  return {
    name: 'g',
    opset,
    inputs: Object.entries(inputs).map(([name, shape]): OnnxValue => ({
      name,
      dtype: integers.includes(name) ? 'int64' : 'float32',
      shape,
    })),
    outputs: [{ name: 'y', dtype: 'float32', shape: [] }],
    initializers: new Map(
      Object.entries(weights).map(([name, value]) => [name, 'dtype' in value ? value : filled(value)]),
    ),
    nodes,
  };
}

/** Imports a graph with the batch of its first input. */
export function imported(parts: GraphParts): Model {
  const graph = graphOf(parts);
  return importOnnx(graph, { batch: Number(graph.inputs[0]!.shape[0]) });
}

/** Each op in a line: kind, attributes, and what it reads by name. */
export function opLines({ graph }: Model): string[] {
  return graph.ops.map(({ kind, attributes, inputs }) => {
    const reads = inputs.map((id) => graph.tensors[id]!.name);
    return `${kind} ${JSON.stringify(attributes)} ${reads.join(' ')}`.trim();
  });
}

/** What is wrong with a graph, a sentence per problem. */
export function problemsOf(parts: GraphParts): string[] {
  try {
    imported(parts);
  } catch (error) {
    if (error instanceof FileError) return error.problems.map(({ path, message }) => `${path} ${message}`);
    throw error;
  }
  return [];
}

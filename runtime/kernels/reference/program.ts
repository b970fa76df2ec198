import type { OnnxGraph, OnnxNode } from '../../../soap/onnx/model.ts';
import { KernelError } from '../kernels.ts';
import { CONSTANTS } from './constants.ts';
import { CONVOLUTION } from './convolution.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { GATHER } from './gather.ts';
import { LAYOUT } from './layout.ts';
import { FUSED_MATMUL, MATMUL } from './matmul.ts';
import type { NodeFunction, NodeTable } from './node-reader.ts';
import { NodeReader } from './node-reader.ts';
import { POOLING } from './pooling.ts';
import { REDUCTION } from './reduction.ts';
import type { Tensor } from './tensor.ts';
import { readMemory } from './tensor.ts';

/** Softmax, Squeeze, Unsqueeze and others meant something else before. */
const OLDEST_OPSET = 13;

/** Every supported node, by domain. */
export const DOMAINS: ReadonlyMap<string, NodeTable> = new Map([
  ['', { ...ELEMENTWISE, ...MATMUL, ...CONVOLUTION, ...POOLING, ...REDUCTION, ...LAYOUT, ...GATHER, ...CONSTANTS }],
  ['com.microsoft', FUSED_MATMUL],
]);

interface Step {
  readonly node: OnnxNode;
  readonly compute: NodeFunction;
}

/** The nodes of a graph in order, ready to compute. */
export interface Program {
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly steps: readonly Step[];
}

/** @throws {KernelError} naming the node that cannot be computed */
export function compileProgram(graph: OnnxGraph): Program {
  if (graph.opset < OLDEST_OPSET) {
    throw new KernelError(`operator set ${graph.opset} is not supported; expected ${OLDEST_OPSET} or later`);
  }
  const constants = new Map(
    [...graph.initializers].map(([name, { dtype, shape, data }]) => [name, readMemory(dtype, shape, data)]),
  );
  const known = new Set(['', ...graph.inputs.map(({ name }) => name), ...constants.keys()]);
  const steps = graph.nodes.map((node) => {
    const missing = node.inputs.filter((name) => !known.has(name));
    if (missing.length > 0) throw new NodeReader(node).error(`nothing before it gives ${missing.join(', ')}`);
    for (const name of node.outputs) {
      if (name !== '' && known.has(name)) throw new NodeReader(node).error(`'${name}' is given twice`);
      known.add(name);
    }
    return { node, compute: compileNode(node) };
  });
  const missing = graph.outputs.map(({ name }) => name).filter((name) => !known.has(name));
  if (missing.length > 0) throw new KernelError(`no node gives the graph output ${missing.join(', ')}`);
  return { constants, steps };
}

function compileNode(node: OnnxNode): NodeFunction {
  const reader = new NodeReader(node);
  const table = DOMAINS.get(node.domain === 'ai.onnx' ? '' : node.domain);
  const compiler = table && Object.hasOwn(table, node.opType) ? table[node.opType] : undefined;
  if (compiler === undefined) throw reader.error(`there is no such op in domain '${node.domain}' here`);
  const compute = compiler(reader);
  reader.finish();
  return compute;
}

/** Computes every node. Returns all values by name. @throws {KernelError} naming the node that failed */
export function runProgram({ constants, steps }: Program, inputs: Iterable<[string, Tensor]>): Map<string, Tensor> {
  const values = new Map([...constants, ...inputs]);
  for (const { node, compute } of steps) {
    const results = compute(node.inputs.map((name) => values.get(name)));
    node.outputs.forEach((name, index) => {
      const result = results[index];
      if (name === '') return;
      if (result === undefined) throw new NodeReader(node).error(`output ${index} is not supported`);
      values.set(name, result);
    });
  }
  return values;
}

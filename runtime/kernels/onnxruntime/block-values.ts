import type { OnnxGraph, OnnxNode } from '../../../soap/onnx/model.ts';
import type { GraphValue } from './row-groups.ts';
import { ELEMENTWISE, knownValues, volume } from './row-groups.ts';

/** A product as it is written. */
export interface BlockProduct {
  /** Operands that are not read in blocks of their columns. */
  readonly rowsOf: readonly string[];
  readonly output: string;
  /** Whether what comes out is in blocks of the columns of the output. */
  readonly givesColumns: boolean;
}

/**
 * Finds the values that may stay in blocks of their columns: results of products that only elementwise nodes, sums over rows and products
 * that want them so read, directly or through each other. All of them have the same elements in another order.
 * @param products by their nodes; an undefined one is part of another, or goes
 */
export function valuesInBlocks(
  graph: OnnxGraph,
  products: ReadonlyMap<OnnxNode, BlockProduct | undefined>,
): ReadonlySet<string> {
  const values = knownValues(graph);
  const found = new Set<string>();
  for (const node of graph.nodes) {
    const product = products.get(node);
    if (product?.givesColumns === true) found.add(product.output);
    else if (product === undefined && mayFollow(node, found, values)) found.add(node.outputs[0]!);
  }
  for (const { name } of graph.outputs) found.delete(name);
  let before = -1;
  while (found.size !== before) {
    before = found.size;
    for (const node of graph.nodes) removeUnfit(node, found, { values, products }, graph);
  }
  return found;
}

/** Whether a node sums a matrix over its rows. */
export function isRowSum({ opType, inputs }: OnnxNode, { initializers }: OnnxGraph, shape: readonly number[]): boolean {
  return opType === 'ReduceSum' && shape.length === 2 && initializers.get(inputs[1] ?? '')?.data.join() === '0';
}

interface Surroundings {
  readonly values: ReadonlyMap<string, GraphValue>;
  readonly products: ReadonlyMap<OnnxNode, BlockProduct | undefined>;
}

/** Whether a node's result can be in blocks of columns as what it reads is: it has the same columns, and looks at elements one by one. */
function mayFollow(
  { opType, domain, inputs, outputs }: OnnxNode,
  found: ReadonlySet<string>,
  values: ReadonlyMap<string, GraphValue>,
): boolean {
  const result = values.get(outputs[0]!);
  if (domain !== '' || outputs.length !== 1 || result?.dtype !== 'float32') return false;
  const follows = (name: string): boolean => {
    const shape = values.get(name)?.shape ?? [];
    return found.has(name) && shape.at(-1) === result.shape.at(-1) && volume(shape) === volume(result.shape);
  };
  if (opType === 'Reshape') return follows(inputs[0]!);
  const isNumber = (name: string): boolean => volume(values.get(name)?.shape ?? [0]) === 1;
  return ELEMENTWISE.has(opType) && inputs.some(follows) && inputs.every((name) => follows(name) || isNumber(name));
}

/** Takes out what a node needs in rows. */
function removeUnfit(node: OnnxNode, found: Set<string>, { values, products }: Surroundings, graph: OnnxGraph): void {
  const { inputs, outputs } = node;
  if (products.has(node)) {
    for (const operand of products.get(node)?.rowsOf ?? []) found.delete(operand);
    return;
  }
  if (isRowSum(node, graph, values.get(inputs[0]!)?.shape ?? [])) return;
  if (found.has(outputs[0]!) && mayFollow(node, found, values)) return;
  for (const each of [...inputs, ...outputs]) found.delete(each);
}

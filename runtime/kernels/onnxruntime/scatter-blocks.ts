import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../../../soap/onnx/model.ts';
import { int } from '../../../soap/ops/emitter.ts';
import { intAttribute } from './attributes.ts';
import type { GraphValue } from './row-groups.ts';
import { knownValues } from './row-groups.ts';

/** Most elements of the result of a block, so that what is added up to them stays in the caches. Source: measured, docs/performance.md. */
const BLOCK_ELEMENTS = 2 ** 16;
/** Where rows come only in blocks of fewer elements, what a block costs by itself would be seen. */
const LEAST_ELEMENTS = 2 ** 13;
/** Results of fewer blocks stay whole. */
const MIN_BLOCKS = 4;

/**
 * Rewrites scatters that add rows into rows of zeros, as the gradient of a max pooling does, into a Scan over blocks of rows: the library
 * copies the zeros and the indices first, which is cheap where they stay in the caches. The gradient of a Relu that is the only reader
 * joins in. Every element is computed by the same operations in the same order as before.
 *
 * A result that is a result of the graph has three axes there, of the same elements.
 *
 * Source: onnxruntime/core/providers/cpu/tensor/scatter.cc; controlflow/scan_9.cc.
 */
export function useScatterBlocks(graph: OnnxGraph): OnnxGraph {
  const surroundings = surroundingsOf(graph);
  const scatters = graph.nodes.flatMap((node) => rowScatter(node, surroundings) ?? []);
  return scatters.length === 0 ? graph : scatters.reduce(withScan, graph);
}

/** A scatter of rows with the nodes that go into its Scan. */
interface RowScatter {
  readonly scatter: OnnxNode;
  /** Zeros that nothing else reads; undefined where others do. */
  readonly zeros: OnnxNode | undefined;
  /** Indices less where their row begins. */
  readonly within: OnnxNode;
  /** The product with the slopes of a Relu, and what it reads of the scatter's result; none where there is no such reader. */
  readonly masking: { readonly product: OnnxNode; readonly slope: OnnxNode; readonly reshape: OnnxNode } | undefined;
  readonly rows: number;
  /** Elements of a row of the result, and of the updates. */
  readonly width: number;
  readonly updates: number;
  readonly blocks: number;
}

interface Surroundings {
  readonly values: ReadonlyMap<string, GraphValue>;
  /** The node that gives a value. */
  readonly givers: ReadonlyMap<string, OnnxNode>;
  /** The one node that reads a value, unless the graph gives it or others read it. */
  readonly onlyReaders: ReadonlyMap<string, OnnxNode>;
}

function surroundingsOf(graph: OnnxGraph): Surroundings {
  const readers = new Map<string, OnnxNode[]>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node]);
  }
  for (const { name } of graph.outputs) readers.delete(name);
  const only = [...readers].filter(([, nodes]) => nodes.length === 1).map(([name, [node]]) => [name, node!] as const);
  return {
    values: knownValues(graph),
    givers: new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node]))),
    onlyReaders: new Map(only),
  };
}

function rowScatter(scatter: OnnxNode, surroundings: Surroundings): RowScatter | undefined {
  const { values, givers, onlyReaders } = surroundings;
  const [zeros, indices, dy] = scatter.inputs;
  const { reduction } = scatter.attributes;
  const adds = reduction?.type === 'string' && reduction.value === 'add';
  if (scatter.opType !== 'ScatterElements' || !adds || intAttribute(scatter, 'axis', 0) !== 1) return undefined;
  const [rows, updates, ...others] = values.get(dy!)?.shape ?? [];
  const width = values.get(zeros!)?.shape[1];
  const within = givers.get(indices!);
  if (width === undefined || updates === undefined || others.length > 0) return undefined;
  if (givers.get(zeros!)?.opType !== 'ConstantOfShape' || values.get(zeros!)!.shape[0] !== rows) return undefined;
  if (within?.opType !== 'Sub' || onlyReaders.get(indices!) !== scatter) return undefined;
  if (values.get(within.inputs[0]!)?.shape.join() !== `${rows},${updates}`) return undefined;
  if (values.get(within.inputs[1]!)?.shape.join() !== `${rows},1`) return undefined;
  const blocks = blocksOf(rows!, width);
  if (blocks === undefined) return undefined;
  const ownZeros = onlyReaders.get(zeros!) === scatter ? givers.get(zeros!) : undefined;
  const masking = maskingOf(scatter, surroundings);
  return { scatter, zeros: ownZeros, within, masking, rows: rows!, width, updates, blocks };
}

/** The fewest blocks of equal numbers of rows that are of at most so many elements; undefined where they would be too few or too small. */
function blocksOf(rows: number, width: number): number | undefined {
  const elements = rows * width;
  let blocks = Math.ceil(elements / BLOCK_ELEMENTS);
  while (blocks < rows && rows % blocks !== 0) blocks += 1;
  return blocks >= MIN_BLOCKS && blocks <= rows && elements / blocks >= LEAST_ELEMENTS ? blocks : undefined;
}

function maskingOf(scatter: OnnxNode, { values, givers, onlyReaders }: Surroundings): RowScatter['masking'] {
  const reshape = onlyReaders.get(scatter.outputs[0]!);
  if (reshape?.opType !== 'Reshape') return undefined;
  const product = onlyReaders.get(reshape.outputs[0]!);
  if (product?.opType !== 'Mul' || product.inputs[0] !== reshape.outputs[0]) return undefined;
  const slope = givers.get(product.inputs[1]!);
  const shapes = [reshape.outputs[0]!, slope?.inputs[0] ?? '', product.outputs[0]!].map((name) =>
    values.get(name)?.shape.join(),
  );
  const isOfRelu = slope?.opType === 'HardSigmoid' && onlyReaders.get(slope.outputs[0]!) === product;
  return isOfRelu && shapes.every((shape) => shape === shapes[0]) ? { product, slope, reshape } : undefined;
}

/** The graph with the scatter, and what joins it, as a Scan at the place of the last of them. */
function withScan(graph: OnnxGraph, found: RowScatter): OnnxGraph {
  const { scatter, within, masking, rows, width, updates, blocks } = found;
  const { name: last, node: lastNode } = lastOf(found);
  const members = new Set([found.zeros, scatter, within, ...Object.values(masking ?? {})]);
  const prefix = `${scatter.name}_rows_`;
  const perBlock = rows / blocks;
  const initializers = new Map<string, OnnxTensor>(graph.initializers);
  const zeros = `${prefix}zeros`;
  initializers.set(zeros, { dtype: 'float32', shape: [perBlock, width], data: new Float32Array(perBlock * width) });
  const reshape = (value: string, shape: readonly number[], output: string): OnnxNode => {
    const target = `${output}_shape`;
    initializers.set(target, { dtype: 'int64', shape: [shape.length], data: BigInt64Array.from(shape, BigInt) });
    const [inputs, outputs] = [[value, target], [output]];
    return { name: `${output}_reshape`, opType: 'Reshape', domain: '', inputs, outputs, attributes: {} };
  };
  const read = [
    { name: within.inputs[0]!, dtype: 'int64', columns: updates },
    { name: within.inputs[1]!, dtype: 'int64', columns: 1 },
    { name: scatter.inputs[2]!, dtype: 'float32', columns: updates },
    ...(masking === undefined ? [] : [{ name: masking.slope.inputs[0]!, dtype: 'float32', columns: width } as const]),
  ] as const;
  const cut = read.map(({ name, columns }, i) => reshape(name, [blocks, perBlock, columns], `${prefix}of${i}`));
  const pieces = read.map(({ dtype, columns }, i): OnnxValue => {
    return { name: `${prefix}piece${i}`, dtype, shape: [perBlock, columns] };
  });
  const body: OnnxGraph = {
    name: `${prefix}body`,
    opset: graph.opset,
    inputs: pieces,
    outputs: [{ name: `${prefix}result`, dtype: 'float32', shape: [perBlock, width] }],
    initializers: new Map(),
    nodes: bodyNodes(found, prefix, [zeros, ...pieces.map(({ name }) => name)]),
  };
  // Only a result that nothing else reads is written where it stays.
  const stays =
    graph.outputs.some(({ name }) => name === last) && !graph.nodes.some(({ inputs }) => inputs.includes(last));
  const output = stays ? last : `${prefix}blocks`;
  const attributes = { num_scan_inputs: int(cut.length), body: { type: 'graph', value: body } } as const;
  const inputs = cut.map(({ outputs: [y] }) => y!);
  const scan = { name: `${prefix}scan`, opType: 'Scan', domain: '', inputs, outputs: [output], attributes };
  const shape = knownValues(graph).get(last)!.shape;
  const put = [...cut, scan, ...(stays ? [] : [reshape(output, shape, last)])];
  const asWritten = { shape: [blocks, perBlock, width] };
  return {
    ...graph,
    initializers,
    outputs: graph.outputs.map((value) => (stays && value.name === last ? { ...value, ...asWritten } : value)),
    nodes: graph.nodes.flatMap((node) => (node === lastNode ? put : members.has(node) ? [] : [node])),
  };
}

/** The last node that goes into the Scan, and its result. */
function lastOf({ scatter, masking }: RowScatter): { readonly name: string; readonly node: OnnxNode } {
  const node = masking?.product ?? scatter;
  return { name: node.outputs[0]!, node };
}

/** The nodes as they compute a block, from the pieces of what they read. */
function bodyNodes(
  { scatter, within, masking }: RowScatter,
  prefix: string,
  [zeros, indices, starts, updates, y]: readonly string[],
): OnnxNode[] {
  const named = (node: OnnxNode, inputs: readonly string[], output: string): OnnxNode => {
    return { ...node, name: `${prefix}${node.name}`, inputs, outputs: [`${prefix}${output}`] };
  };
  const added = [`${prefix}within`, `${prefix}sum`, `${prefix}slope`];
  const nodes = [
    named(within, [indices!, starts!], 'within'),
    named(scatter, [zeros!, added[0]!, updates!], masking === undefined ? 'result' : 'sum'),
  ];
  if (masking === undefined) return nodes;
  return [...nodes, named(masking.slope, [y!], 'slope'), named(masking.product, added.slice(1), 'result')];
}

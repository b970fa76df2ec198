import type { OnnxGraph, OnnxNode } from '../../../soap/onnx/model.ts';
import { intAttribute } from './attributes.ts';
import type { ScanParts, ScanValue } from './scan.ts';
import { blocksOf, withScans } from './scan.ts';
import type { Surroundings } from './surroundings.ts';
import { surroundingsOf } from './surroundings.ts';

/**
 * Rewrites scatters that add rows into rows of zeros, as the gradient of a max pooling does, into a Scan over blocks of rows: the library
 * copies the zeros and the indices first, which is cheap where they stay in the caches. The gradient of a Relu that is the only reader
 * joins in. Every element is computed by the same operations in the same order as before.
 *
 * Source: onnxruntime/core/providers/cpu/tensor/scatter.cc.
 */
export function useScatterBlocks(graph: OnnxGraph): OnnxGraph {
  const surroundings = surroundingsOf(graph);
  const scatters = graph.nodes.flatMap((node) => rowScatter(node, surroundings) ?? []);
  return withScans(graph, scatters.map(scanOf));
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

/** The scatter, and what joins it, as a Scan. */
function scanOf(found: RowScatter): ScanParts {
  const { scatter, zeros, within, masking, rows, width, updates, blocks } = found;
  const prefix = `${scatter.name}_rows_`;
  const perBlock = rows / blocks;
  const piece = (name: string, dtype: 'int64' | 'float32', columns: number, short: string): ScanValue => {
    return { name, piece: `${prefix}${short}`, dtype, shape: [perBlock, columns] };
  };
  const reads = [
    piece(within.inputs[0]!, 'int64', updates, 'indices'),
    piece(within.inputs[1]!, 'int64', 1, 'starts'),
    piece(scatter.inputs[2]!, 'float32', updates, 'updates'),
    ...(masking === undefined ? [] : [piece(masking.slope.inputs[0]!, 'float32', width, 'y')]),
  ];
  const data = new Float32Array(perBlock * width);
  const [result = ''] = (masking?.product ?? scatter).outputs;
  return {
    prefix,
    blocks,
    members: [...(zeros === undefined ? [] : [zeros]), within, scatter, ...inOrder(masking)],
    before: [],
    constants: new Map([[`${prefix}zeros`, { dtype: 'float32', shape: [perBlock, width], data }]]),
    reads,
    writes: [piece(result, 'float32', width, 'result')],
    body: bodyNodes(found, prefix, [`${prefix}zeros`, ...reads.map((each) => each.piece)]),
  };
}

function inOrder(masking: RowScatter['masking']): OnnxNode[] {
  return masking === undefined ? [] : [masking.reshape, masking.slope, masking.product];
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

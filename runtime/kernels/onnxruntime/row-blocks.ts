import type { OnnxGraph, OnnxNode } from '../../../soap/onnx/model.ts';
import { int } from '../../../soap/ops/emitter.ts';
import type { GraphValue, RowGroup } from './row-groups.ts';
import { findRowGroups, knownValues, roleIn } from './row-groups.ts';
import type { ScanParts, ScanValue } from './scan.ts';
import { int64Vector, withScans } from './scan.ts';
import { elementCount } from '../../../soap/onnx/indexing.ts';

/**
 * Elements of a block for each thread. With fewer, the library leaves an addition to one thread; with more, the values of a block do
 * not fit into the caches. Source: measured, docs/performance/kernels.md.
 */
const ELEMENTS_PER_THREAD = 2 ** 17;
/** The same where there is one thread. */
const ELEMENTS_ALONE = 2 ** 16;
/** Values of fewer blocks stay whole. */
const MIN_BLOCKS = 4;

/** The constant of what sums over rows are over, which all bodies read. */
const LAST_AXIS = 'rows_last_axis';

/**
 * Rewrites groups of nodes that compute each row of large matrices by itself into a Scan over blocks of rows: what they hand on
 * stays in the caches, and takes memory for one block. Every element is computed by the same operations as before.
 */
export function useRowBlocks(graph: OnnxGraph, threads: number): OnnxGraph {
  const least = threads === 1 ? ELEMENTS_ALONE : threads * ELEMENTS_PER_THREAD;
  const values = knownValues(graph);
  const scans = findRowGroups(graph, MIN_BLOCKS * least).flatMap((group) => {
    const blocks = blocksOf(group.shape, least);
    return blocks < MIN_BLOCKS ? [] : [scanOf(group, blocks, values)];
  });
  return withScans(graph, scans, 'sorted');
}

/** The most blocks of equal numbers of rows, each of at least so many elements. */
function blocksOf(shape: readonly number[], least: number): number {
  const rows = elementCount(shape.slice(0, -1));
  let blocks = Math.floor(elementCount(shape) / least);
  while (rows % blocks !== 0) blocks -= 1;
  return blocks;
}

/** A group as a Scan, which cuts all but what is the same for all rows. */
function scanOf(
  { shape, members, leaving }: RowGroup,
  blocks: number,
  values: ReadonlyMap<string, GraphValue>,
): ScanParts {
  const prefix = `${members.at(-1)!.name}_rows_`;
  const rows = elementCount(shape.slice(0, -1)) / blocks;
  const made = new Set(members.flatMap(({ outputs }) => outputs));
  const read = new Set(members.flatMap(({ inputs }) => inputs).filter((input) => !made.has(input)));
  const cut = [...read].filter((name) => roleIn(shape, values.get(name)) !== 'shared');
  const inside = new Set([...made, ...cut]);
  const named = (name: string): string => (inside.has(name) ? `${prefix}${name}` : name);
  const piece = (name: string): ScanValue => {
    const { dtype, shape: whole } = values.get(name)!;
    return { name, piece: named(name), dtype, shape: [rows, whole.at(-1)!] };
  };
  const sums = members.some(({ opType }) => opType === 'ReduceSum');
  return {
    prefix,
    blocks,
    members,
    before: [],
    constants: new Map(sums ? [[LAST_AXIS, int64Vector([-1])]] : []),
    reads: cut.map(piece),
    writes: leaving.map(piece),
    body: members.map((node) => ofPiece(node, named)),
  };
}

/** A member as it computes pieces, of two axes. */
function ofPiece(node: OnnxNode, named: (name: string) => string): OnnxNode {
  const [inputs, outputs] = [node.inputs.map(named), node.outputs.map(named)];
  if (node.opType === 'ReduceSum') return { ...node, inputs: [inputs[0]!, LAST_AXIS], outputs };
  const attributes = node.opType === 'Softmax' ? { axis: int(-1) } : node.attributes;
  return { ...node, inputs, outputs, attributes };
}

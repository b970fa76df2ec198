import type { OnnxDType, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../../../soap/onnx/model.ts';
import { int } from '../../../soap/ops/emitter.ts';
import type { GraphValue } from './row-groups.ts';
import { knownValues } from './row-groups.ts';

/** Most elements of a block of rows, so that what nodes hand on of it stays in the caches. Source: measured, docs/performance.md. */
const BLOCK_ELEMENTS = 2 ** 16;
/** Where rows come only in blocks of fewer elements, what a block costs by itself would be seen. */
const LEAST_ELEMENTS = 2 ** 13;
/** Values of fewer blocks stay whole. */
const MIN_BLOCKS = 4;

/** The fewest blocks of equal numbers of rows that are of at most so many elements; undefined where they would be too few or too small. */
export function blocksOf(rows: number, width: number): number | undefined {
  const elements = rows * width;
  let blocks = Math.ceil(elements / BLOCK_ELEMENTS);
  while (blocks < rows && rows % blocks !== 0) blocks += 1;
  return blocks >= MIN_BLOCKS && blocks <= rows && elements / blocks >= LEAST_ELEMENTS ? blocks : undefined;
}

/** A value that a Scan reads or writes in pieces. */
export interface ScanValue {
  /** Outside. */
  readonly name: string;
  /** Of a piece, in the body. */
  readonly piece: string;
  readonly dtype: OnnxDType;
  /** Of a piece. */
  readonly shape: readonly number[];
}

/** Nodes of a graph and the Scan that takes their place. */
export interface ScanParts {
  /** No other one has it. */
  readonly prefix: string;
  readonly blocks: number;
  /** The last of these is where the Scan goes; all that reads what it writes comes later, or is handed over in any order. */
  readonly members: readonly OnnxNode[];
  /** What goes before it, and the constants of that and of the body. */
  readonly before: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  readonly reads: readonly ScanValue[];
  /** Names of values of the graph, which have the shapes that they had. */
  readonly writes: readonly ScanValue[];
  readonly body: readonly OnnxNode[];
}

/**
 * The graph with Scans over blocks in place of nodes. A result of the graph that no node reads has the axes of the Scan's, of the same elements.
 * Source: onnxruntime/core/providers/cpu/controlflow/scan_9.cc, whose iterations read and write pieces of the whole where they lie.
 */
export function withScans(graph: OnnxGraph, scans: readonly ScanParts[]): OnnxGraph {
  if (scans.length === 0) return graph;
  const surroundings = surroundingsOf(graph);
  const results = new Set(graph.outputs.map(({ name }) => name));
  const initializers = new Map<string, OnnxTensor>(graph.initializers);
  const shapes = new Map<string, readonly number[]>();
  const nodes = new Map<OnnxNode, readonly OnnxNode[]>();
  for (const parts of scans) {
    // Only a result that nothing else reads is written where it stays.
    const stays = (name: string): boolean => {
      const isOutside = (node: OnnxNode): boolean => !parts.members.includes(node);
      return results.has(name) && !surroundings.readers.get(name)?.some(isOutside);
    };
    for (const [name, tensor] of parts.constants) initializers.set(name, tensor);
    for (const { name, shape } of parts.writes) if (stays(name)) shapes.set(name, [parts.blocks, ...shape]);
    for (const member of parts.members) nodes.set(member, []);
    nodes.set(parts.members.at(-1)!, scanNodes(graph.opset, parts, { surroundings, initializers, stays }));
  }
  return {
    ...graph,
    initializers,
    outputs: graph.outputs.map((value) => ({ ...value, shape: shapes.get(value.name) ?? value.shape })),
    nodes: graph.nodes.flatMap((node) => nodes.get(node) ?? [node]),
  };
}

interface Whole {
  readonly surroundings: Surroundings;
  /** Of the graph; gets those of the nodes. */
  readonly initializers: Map<string, OnnxTensor>;
  /** Whether what is written is the memory of a result of the graph. */
  readonly stays: (name: string) => boolean;
}

function scanNodes(opset: number, parts: ScanParts, { surroundings, initializers, stays }: Whole): OnnxNode[] {
  const { prefix, blocks, before, reads, writes } = parts;
  const reshape = (value: string, shape: readonly number[], output: string): OnnxNode => {
    const target = `${output}_shape`;
    initializers.set(target, int64Vector(shape));
    return reshapeNode(value, target, output);
  };
  const cut = reads.map(({ name, shape }, i) => reshape(name, [blocks, ...shape], `${prefix}of${i}`));
  const outputs = writes.map(({ name }, i) => (stays(name) ? name : `${prefix}blocks${i}`));
  const after = writes.flatMap(({ name }, i) =>
    stays(name) ? [] : [reshape(outputs[i]!, surroundings.values.get(name)!.shape, name)],
  );
  const pieces = (list: readonly ScanValue[]): OnnxValue[] =>
    list.map(({ piece, dtype, shape }) => ({ name: piece, dtype, shape }));
  const body: OnnxGraph = {
    name: `${prefix}body`,
    opset,
    inputs: pieces(reads),
    outputs: pieces(writes),
    initializers: new Map(),
    nodes: parts.body,
  };
  const attributes = { num_scan_inputs: int(cut.length), body: { type: 'graph', value: body } } as const;
  const inputs = cut.map(({ outputs: [y] }) => y!);
  const scan = { name: `${prefix}scan`, opType: 'Scan', domain: '', inputs, outputs, attributes };
  return [...before, ...cut, scan, ...after];
}

/** Whether nodes can run one after the other, in whatever order they are given: no two wait for each other. */
export function canRun({ inputs, initializers, nodes }: OnnxGraph): boolean {
  const there = new Set(['', ...inputs.map(({ name }) => name), ...initializers.keys()]);
  let waiting = nodes;
  while (waiting.length > 0) {
    const still = waiting.filter((node) => {
      if (!node.inputs.every((name) => there.has(name))) return true;
      for (const name of node.outputs) there.add(name);
      return false;
    });
    if (still.length === waiting.length) return false;
    waiting = still;
  }
  return true;
}

/** A constant shape, or list of axes. */
export function int64Vector(values: readonly number[]): OnnxTensor {
  return { dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) };
}

export function reshapeNode(value: string, target: string, output: string): OnnxNode {
  return plainNode('Reshape', [value, target], output);
}

/** A node of the standard domain without attributes, named after its one result. */
export function plainNode(opType: string, inputs: readonly string[], output: string): OnnxNode {
  return { name: `${output}_${opType}`, opType, domain: '', inputs, outputs: [output], attributes: {} };
}

/** Which nodes give and read values. */
export interface Surroundings {
  readonly values: ReadonlyMap<string, GraphValue>;
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  /** The node that gives a value. */
  readonly givers: ReadonlyMap<string, OnnxNode>;
  readonly readers: ReadonlyMap<string, readonly OnnxNode[]>;
  /** The one node that reads a value, be it twice, unless the graph gives it or others read it. */
  readonly onlyReaders: ReadonlyMap<string, OnnxNode>;
}

export function surroundingsOf(graph: OnnxGraph): Surroundings {
  const readers = new Map<string, OnnxNode[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(node.inputs)) readers.set(input, [...(readers.get(input) ?? []), node]);
  }
  const results = new Set(graph.outputs.map(({ name }) => name));
  const only = [...readers].flatMap(([name, nodes]) =>
    nodes.length === 1 && !results.has(name) ? [[name, nodes[0]!] as const] : [],
  );
  const givers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  return { values: knownValues(graph), constants: graph.initializers, givers, readers, onlyReaders: new Map(only) };
}

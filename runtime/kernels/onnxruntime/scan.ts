import type { OnnxDType, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../../../soap/onnx/model.ts';
import { int } from '../../../soap/ops/emitter.ts';
import type { Surroundings } from './surroundings.ts';
import { readsOf, surroundingsOf } from './surroundings.ts';

/** Most elements of a block of rows, so that what nodes hand on of it stays in the caches. Source: measured, docs/performance/kernels.md. */
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
  /** The last of these is where the Scan goes. */
  readonly members: readonly OnnxNode[];
  /** What goes before it, and the constants of that and of the body. */
  readonly before: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  readonly reads: readonly ScanValue[];
  /** Names of values that members give. */
  readonly writes: readonly ScanValue[];
  /** The nodes of a block. What they read is pieces, constants, and values of the graph that are the same in all blocks. */
  readonly body: readonly OnnxNode[];
}

/**
 * What becomes of nodes that read values of a Scan and come before it, amid its members: they stay where they are, as the library takes
 * nodes in any order, or come after it. The library runs nodes by their places: see `createSession` in engine.ts.
 */
type NodeOrder = 'kept' | 'sorted';

/**
 * The graph with Scans over blocks in place of nodes, or as it is where nodes would then wait for each other. A result of the graph that a
 * Scan writes has the axes of the Scan's, of the same elements: the library would copy it into the memory of the result otherwise. Nodes read
 * what they read in the shapes that it had.
 *
 * Source: onnxruntime/core/providers/cpu/controlflow/scan_9.cc, whose iterations read and write pieces of the whole where they lie.
 */
export function withScans(graph: OnnxGraph, scans: readonly ScanParts[], order: NodeOrder = 'kept'): OnnxGraph {
  return scans.length === 0 ? graph : new Rewriter(graph, scans).rewrite(order);
}

class Rewriter {
  readonly #graph: OnnxGraph;
  readonly #scans: readonly ScanParts[];
  readonly #surroundings: Surroundings;
  readonly #initializers: Map<string, OnnxTensor>;
  /** Shapes that results of the graph have now where a Scan writes them. */
  readonly #results = new Map<string, readonly number[]>();
  /** Those of them that nodes read in the shapes that they had, and that under other names. */
  readonly #asBefore = new Map<string, OnnxValue>();

  constructor(graph: OnnxGraph, scans: readonly ScanParts[]) {
    this.#graph = graph;
    this.#scans = scans;
    this.#surroundings = surroundingsOf(graph);
    this.#initializers = new Map([...graph.initializers, ...scans.flatMap(({ constants }) => [...constants])]);
    const outputs = new Map(graph.outputs.map((value) => [value.name, value]));
    for (const parts of scans) {
      for (const { name, shape } of parts.writes) {
        const value = outputs.get(name);
        if (value === undefined) continue;
        this.#results.set(name, [parts.blocks, ...shape]);
        if (this.#isRead(name, parts)) this.#asBefore.set(name, { ...value, name: `${name}_whole` });
      }
    }
  }

  rewrite(order: NodeOrder): OnnxGraph {
    const graph = this.#graph;
    const replaced = new Set(this.#scans.flatMap(({ members }) => members));
    const scanAt = new Map(this.#scans.map((parts) => [parts.members.at(-1)!, parts]));
    const units = graph.nodes.flatMap((node) => {
      const parts = scanAt.get(node);
      if (parts !== undefined) return [this.#scan(parts)];
      return replaced.has(node) ? [] : [[this.#outside(node)]];
    });
    const ordered = inOrder(units, ['', ...graph.inputs.map(({ name }) => name), ...this.#initializers.keys()]);
    if (ordered === undefined) return graph;
    return {
      ...graph,
      nodes: order === 'sorted' ? ordered : units.flat(),
      initializers: this.#initializers,
      outputs: graph.outputs.map((value) => ({ ...value, shape: this.#results.get(value.name) ?? value.shape })),
      inner: [...(graph.inner ?? []), ...this.#asBefore.values()],
    };
  }

  /** The nodes of a Scan, with the shapes that it reads and writes. */
  #scan(parts: ScanParts): OnnxNode[] {
    const { prefix, blocks, reads, writes } = parts;
    const cut = reads.map(({ name, shape }, i) =>
      this.#reshape(this.#nameOf(name), [blocks, ...shape], `${prefix}of${i}`),
    );
    const outputs = writes.map(({ name }, i) => (this.#results.has(name) ? name : `${prefix}blocks${i}`));
    const after = writes.flatMap(({ name }, i) => {
      const { shape } = this.#surroundings.values.get(name)!;
      return this.#isRead(name, parts) ? [this.#reshape(outputs[i]!, shape, this.#nameOf(name))] : [];
    });
    const attributes = { num_scan_inputs: int(cut.length), body: { type: 'graph', value: this.#body(parts) } } as const;
    const inputs = cut.map(({ outputs: [y] }) => y!);
    const scan = { name: `${prefix}scan`, opType: 'Scan', domain: '', inputs, outputs, attributes };
    return [...parts.before.map((node) => this.#outside(node)), ...cut, scan, ...after];
  }

  #body({ prefix, reads, writes, body }: ScanParts): OnnxGraph {
    const pieces = (list: readonly ScanValue[]): OnnxValue[] =>
      list.map(({ piece, dtype, shape }) => ({ name: piece, dtype, shape }));
    return {
      name: `${prefix}body`,
      opset: this.#graph.opset,
      inputs: pieces(reads),
      outputs: pieces(writes),
      initializers: new Map(),
      nodes: body,
    };
  }

  /** Whether nodes other than the members of a Scan read a value. */
  #isRead(name: string, { members }: ScanParts): boolean {
    return this.#surroundings.readers.get(name)?.some((node) => !members.includes(node)) ?? false;
  }

  /** A node as it reads values in the shapes that they had. */
  #outside(node: OnnxNode): OnnxNode {
    return { ...node, inputs: node.inputs.map((name) => this.#nameOf(name)) };
  }

  #nameOf(name: string): string {
    return this.#asBefore.get(name)?.name ?? name;
  }

  #reshape(value: string, shape: readonly number[], output: string): OnnxNode {
    const target = `${output}_shape`;
    this.#initializers.set(target, int64Vector(shape));
    return reshapeNode(value, target, output);
  }
}

/** The nodes of units that each stay together, after those that give what they read; undefined where units wait for each other. */
function inOrder(units: readonly (readonly OnnxNode[])[], given: readonly string[]): OnnxNode[] | undefined {
  const there = new Set(given);
  const nodes: OnnxNode[] = [];
  let waiting = units.map((unit) => ({ unit, reads: readsOf(unit) }));
  while (waiting.length > 0) {
    const still = waiting.filter(({ unit, reads }) => {
      if (!reads.every((name) => there.has(name))) return true;
      nodes.push(...unit);
      for (const name of unit.flatMap(({ outputs }) => outputs)) there.add(name);
      return false;
    });
    if (still.length === waiting.length) return undefined;
    waiting = still;
  }
  return nodes;
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

import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../../../soap/onnx/model.ts';
import { int } from '../../../soap/ops/emitter.ts';
import type { GraphValue, RowGroup } from './row-groups.ts';
import { findRowGroups, knownValues, roleIn, volume } from './row-groups.ts';
import { reshapeNode, int64Vector } from './scan.ts';

/**
 * Elements of a block for each thread. With fewer, the library leaves an addition to one thread; with more, the values of a block do
 * not fit into the caches. Source: measured, docs/performance.md.
 */
const ELEMENTS_PER_THREAD = 2 ** 17;
/** The same where there is one thread. */
const ELEMENTS_ALONE = 2 ** 16;
/** Values of fewer blocks stay whole. */
const MIN_BLOCKS = 4;

/**
 * Rewrites groups of nodes that compute each row of large matrices by itself into a Scan over blocks of rows: what they hand on
 * stays in the caches, and takes memory for one block. Every element is computed by the same operations as before.
 *
 * A result that is a result of the graph has three axes there, of the same elements.
 *
 * Source: onnxruntime/core/providers/cpu/controlflow/scan_9.cc, whose iterations read and write pieces of the whole where they lie.
 */
export function useRowBlocks(graph: OnnxGraph, threads: number): OnnxGraph {
  const least = threads === 1 ? ELEMENTS_ALONE : threads * ELEMENTS_PER_THREAD;
  const groups = findRowGroups(graph, MIN_BLOCKS * least)
    .map((group) => ({ ...group, blocks: blocksOf(group.shape, least) }))
    .filter(({ blocks }) => blocks >= MIN_BLOCKS);
  return groups.length === 0 ? graph : new Rewriter(graph, groups).rewrite();
}

/** The most blocks of equal numbers of rows, each of at least so many elements. */
function blocksOf(shape: readonly number[], least: number): number {
  const rows = volume(shape.slice(0, -1));
  let blocks = Math.floor(volume(shape) / least);
  while (rows % blocks !== 0) blocks -= 1;
  return blocks;
}

interface BlockedGroup extends RowGroup {
  readonly blocks: number;
}

/** Nodes that follow each other, with what they read from before. */
interface Unit {
  readonly nodes: readonly OnnxNode[];
  readonly reads: readonly string[];
}

class Rewriter {
  readonly #graph: OnnxGraph;
  readonly #groups: readonly BlockedGroup[];
  readonly #values: ReadonlyMap<string, GraphValue>;
  readonly #initializers: Map<string, OnnxTensor>;
  /** What nodes outside of its group read. */
  readonly #read: ReadonlySet<string>;
  /** Results of the graph, in the shapes they have now. */
  readonly #results: Map<string, OnnxValue>;
  /** Names of results of the graph in the shapes that they had, for the nodes that read them. */
  readonly #asBefore = new Map<string, string>();
  #count = 0;

  constructor(graph: OnnxGraph, groups: readonly BlockedGroup[]) {
    this.#graph = graph;
    this.#groups = groups;
    this.#values = knownValues(graph);
    this.#initializers = new Map(graph.initializers);
    this.#results = new Map(graph.outputs.map((value) => [value.name, value]));
    const isOutside = (node: OnnxNode, name: string): boolean =>
      groups.every(({ members, leaving }) => !leaving.includes(name) || !members.includes(node));
    this.#read = new Set(graph.nodes.flatMap((node) => node.inputs.filter((name) => isOutside(node, name))));
    for (const name of groups.flatMap(({ leaving }) => leaving)) {
      if (this.#results.has(name)) this.#asBefore.set(name, `${name}_whole`);
    }
  }

  rewrite(): OnnxGraph {
    const groupOf = new Map(this.#groups.flatMap((group) => group.members.map((node) => [node, group] as const)));
    const units = this.#graph.nodes.flatMap((node): Unit[] => {
      const group = groupOf.get(node);
      if (group !== undefined) return group.members.at(-1) === node ? [this.#scan(group, `${node.name}_rows_`)] : [];
      const inputs = node.inputs.map((input) => this.#outside(input));
      return [{ nodes: [{ ...node, inputs }], reads: inputs }];
    });
    const there = ['', ...this.#graph.inputs.map(({ name }) => name), ...this.#initializers.keys()];
    return {
      ...this.#graph,
      nodes: inOrder(units, new Set(there)),
      initializers: this.#initializers,
      outputs: [...this.#results.values()],
    };
  }

  /** A group as a Scan, with the shapes it reads and writes. */
  #scan({ shape, members, leaving, blocks }: BlockedGroup, prefix: string): Unit {
    const made = new Set(members.flatMap(({ outputs }) => outputs));
    const read = new Set(members.flatMap(({ inputs }) => inputs).filter((input) => !made.has(input)));
    const cut = [...read].filter((name) => roleIn(shape, this.#values.get(name)) !== 'shared');
    const rows = volume(shape.slice(0, -1)) / blocks;
    const piece = (name: string): OnnxValue => {
      const { dtype, shape: whole } = this.#values.get(name)!;
      return { name: `${prefix}${name}`, dtype, shape: [rows, whole.at(-1)!] };
    };
    const inside = new Set([...made, ...cut]);
    const body: OnnxGraph = {
      name: `${prefix}body`,
      opset: this.#graph.opset,
      inputs: cut.map(piece),
      outputs: leaving.map(piece),
      initializers: new Map(),
      nodes: members.map((node) =>
        this.#ofPiece(node, (name) => (inside.has(name) ? `${prefix}${name}` : this.#outside(name))),
      ),
    };
    const whole = (name: string): number[] => [blocks, ...piece(name).shape.map(Number)];
    const inputs = cut.map((name) => this.#reshape(this.#outside(name), whole(name), `${prefix}of_${name}`));
    const outputs = leaving.map((name) => (this.#results.has(name) ? name : `${prefix}blocks_${name}`));
    const after = leaving.flatMap((name, index) => {
      const { dtype, shape: before } = this.#values.get(name)!;
      if (this.#results.has(name)) this.#results.set(name, { name, dtype, shape: whole(name) });
      return this.#read.has(name) ? [this.#reshape(outputs[index]!, before, this.#outside(name))] : [];
    });
    const attributes = { num_scan_inputs: int(cut.length), body: { type: 'graph', value: body } } as const;
    const scan = { name: `${prefix}scan`, opType: 'Scan', domain: '', outputs, attributes };
    const node = { ...scan, inputs: inputs.map(({ outputs: [y] }) => y!) };
    return { nodes: [...inputs, node, ...after], reads: [...read].map((name) => this.#outside(name)) };
  }

  /** A member as it computes pieces, of two axes. */
  #ofPiece(node: OnnxNode, named: (name: string) => string): OnnxNode {
    const outputs = node.outputs.map(named);
    if (node.opType === 'ReduceSum') {
      const axes = 'rows_last_axis';
      this.#initializers.set(axes, int64Vector([-1]));
      return { ...node, inputs: [named(node.inputs[0]!), axes], outputs };
    }
    const attributes = node.opType === 'Softmax' ? { axis: int(-1) } : node.attributes;
    return { ...node, inputs: node.inputs.map(named), outputs, attributes };
  }

  /** The name by which nodes outside of its group read a value. */
  #outside(name: string): string {
    return this.#asBefore.get(name) ?? name;
  }

  #reshape(value: string, shape: readonly number[], output: string): OnnxNode {
    const target = `rows_c${this.#count++}`;
    this.#initializers.set(target, int64Vector(shape));
    return reshapeNode(value, target, output);
  }
}

/** The nodes of units, each after those that give what it reads. */
function inOrder(units: readonly Unit[], there: Set<string>): OnnxNode[] {
  const nodes: OnnxNode[] = [];
  let waiting = units;
  while (waiting.length > 0) {
    const still = waiting.filter((unit) => {
      if (!unit.reads.every((name) => there.has(name))) return true;
      nodes.push(...unit.nodes);
      for (const name of unit.nodes.flatMap(({ outputs }) => outputs)) there.add(name);
      return false;
    });
    if (still.length === waiting.length) throw new Error('internal: nodes of a graph wait for each other');
    waiting = still;
  }
  return nodes;
}

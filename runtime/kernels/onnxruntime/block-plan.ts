import type { OnnxGraph, OnnxNode, OnnxValue } from '../../../soap/onnx/model.ts';
import { intAttribute, intsAttribute, numberAttribute } from './attributes.ts';
import type { BlockProduct } from './block-values.ts';
import { valuesInBlocks } from './block-values.ts';
import type { ChannelBlock } from './channel-block.ts';

/** Products of fewer rows or columns stay: putting them into blocks costs more than it gains. Source: measured, docs/performance.md. */
const MIN_EXTENT = 256;
/** The least length of the sums, and of those of narrow results that read the first operand along its rows. Source: as above. */
const [MIN_LENGTH, MIN_LENGTH_OF_NARROW] = [512, 1024];
/** Columns of a narrow result are fewer. Source: as above. */
const WIDE = 1024;

/** A matrix that is multiplied, as it lies in memory. */
export interface Operand {
  readonly name: string;
  /** Rows of the first operand, columns of the second: what the sums are not over. */
  readonly extent: number;
  /** Whether sums run along its rows in memory. */
  readonly along: boolean;
}

/** y [rows, columns] = a b + bias. */
interface Product {
  readonly a: Operand;
  readonly b: Operand;
  /** Of the sums. */
  readonly length: number;
  /** [columns] */
  readonly bias: string | undefined;
}

/** How it is computed. */
export interface PlannedProduct extends Product {
  /** Whether the rows of the first operand are the places of the image, and so the columns of the second the filters. */
  readonly byRows: boolean;
  readonly output: string;
}

/** Which products of a graph are large enough to be computed in blocks, and what stays in blocks between them. */
export class BlockPlan {
  readonly products: Map<OnnxNode, PlannedProduct> = new Map<OnnxNode, PlannedProduct>();
  /** Nodes that are part of a product. */
  readonly fused: Set<OnnxNode> = new Set<OnnxNode>();
  /** Values that stay in blocks of their columns. */
  readonly columns: ReadonlySet<string>;
  /** Matrices that are another one transposed, and that one. */
  readonly transposed: Map<string, string> = new Map<string, string>();
  /** Nodes that read a value. */
  readonly readers: Map<string, OnnxNode[]> = new Map<string, OnnxNode[]>();
  readonly #graph: OnnxGraph;
  readonly #block: ChannelBlock;
  readonly #values: ReadonlyMap<string, OnnxValue>;
  /** Values that have the elements of another one in other axes, and that one. */
  readonly #same = new Map<string, string>();

  constructor(graph: OnnxGraph, block: ChannelBlock) {
    this.#graph = graph;
    this.#block = block;
    this.#values = new Map(
      [...graph.inputs, ...graph.outputs, ...(graph.inner ?? [])].map((value) => [value.name, value]),
    );
    for (const node of graph.nodes) {
      const [source] = node.inputs;
      if (node.opType === 'Reshape') this.#same.set(node.outputs[0]!, this.rootOf(source!));
      for (const input of node.inputs) this.readers.set(input, [...(this.readers.get(input) ?? []), node]);
      if (node.opType === 'Transpose' && intsAttribute(node, 'perm', []).join() === '1,0') {
        this.transposed.set(node.outputs[0]!, node.inputs[0]!);
      }
    }
    this.#findProducts();
    this.columns = valuesInBlocks(graph, this.#forms());
  }

  #findProducts(): void {
    for (const node of this.#graph.nodes) {
      const product = this.#productOf(node);
      if (product === undefined) continue;
      const add = this.#biasAfter(node, product);
      if (add !== undefined) this.fused.add(add.node);
      const bias = add?.bias ?? product.bias;
      const byRows = bias !== undefined || this.#rowsAreImage(product);
      this.products.set(node, { ...product, bias, byRows, output: (add?.node ?? node).outputs[0]! });
    }
  }

  /** Nodes of products, and those that go with them. */
  #forms(): ReadonlyMap<OnnxNode, BlockProduct | undefined> {
    const known = new Map<OnnxNode, BlockProduct | undefined>([...this.fused].map((node) => [node, undefined]));
    for (const [node, { a, b, byRows, output }] of this.products) {
      const [image, filters] = byRows ? [a, b] : [b, a];
      const rowsOf = [...(image.along ? [] : [image.name]), ...(filters.along ? [filters.name] : [])];
      known.set(node, { rowsOf, output, givesColumns: byRows });
    }
    for (const node of this.#graph.nodes) {
      const readers = this.transposed.has(node.outputs[0]!) ? this.readers.get(node.outputs[0]!) : undefined;
      if (readers?.every((reader) => this.products.has(reader)) === true) known.set(node, undefined);
    }
    return known;
  }

  #productOf(node: OnnxNode): Product | undefined {
    const { opType, domain, inputs } = node;
    const isGemm = opType === 'Gemm' && domain === '';
    if (!isGemm && !['MatMul', 'FusedMatMul'].includes(opType)) return undefined;
    if (['alpha', 'beta'].some((name) => numberAttribute(node, name, 1) !== 1)) return undefined;
    if (['transBatchA', 'transBatchB'].some((name) => intAttribute(node, name, 0) !== 0)) return undefined;
    const a = this.operand(inputs[0]!, intAttribute(node, 'transA', 0) === 0, true);
    const b = this.operand(inputs[1]!, intAttribute(node, 'transB', 0) === 1, false);
    const length = a?.terms;
    if (a === undefined || b === undefined || length === undefined) return undefined;
    const bias = inputs[2] === '' ? undefined : inputs[2];
    if (bias !== undefined && this.shape(bias)?.join() !== String(b.extent)) return undefined;
    const least = a.along && b.extent < WIDE ? MIN_LENGTH_OF_NARROW : MIN_LENGTH;
    if (length < least || length % this.#block !== 0 || Math.min(a.extent, b.extent) < MIN_EXTENT) return undefined;
    const filters = bias === undefined ? [a, b] : [b];
    return filters.some((operand) => this.isWhole(operand)) ? { a, b, length, bias } : undefined;
  }

  /**
   * A matrix, or several of a first operand that is read along its rows, under each other; undefined for anything else, and for
   * constants, which the library packs once.
   */
  operand(name: string, along: boolean, isFirst: boolean): (Operand & { readonly terms: number }) | undefined {
    const shape = this.shape(name);
    if (shape === undefined || shape.length < 2 || this.#values.get(name)?.dtype !== 'float32') return undefined;
    const original = this.transposed.get(name);
    if (original !== undefined && this.#values.has(original)) return this.operand(original, !along, isFirst);
    if (shape.length > 2 && !(isFirst && along)) return undefined;
    const [rows, columns] = [shape.slice(0, -1).reduce((x, y) => x * y, 1), shape.at(-1)!];
    return along ? { name, along, extent: rows, terms: columns } : { name, along, extent: columns, terms: rows };
  }

  /** An Add of a bias that is all that reads a product, with its bias, which has to be there before. */
  #biasAfter({ outputs: [y] }: OnnxNode, { b, bias }: Product): { node: OnnxNode; bias: string } | undefined {
    const [node, ...others] = this.readers.get(y!) ?? [];
    if (node?.opType !== 'Add' || others.length > 0 || bias !== undefined || this.isResult(y!)) return undefined;
    const added = node.inputs.find((input) => input !== y);
    const isVector = added !== undefined && this.shape(added)?.join() === String(b.extent);
    const isThere = this.#graph.inputs.some(({ name }) => name === added);
    return isVector && isThere && b.extent % this.#block === 0 ? { node, bias: added } : undefined;
  }

  /** Whether the image is the first operand: what is read along its rows, and so may be there in blocks; else the fewer rows, which are read again for every few filters. */
  #rowsAreImage({ a, b }: Product): boolean {
    if (!this.isWhole(b)) return false;
    if (!this.isWhole(a)) return true;
    return a.along === b.along ? a.extent <= b.extent : a.along;
  }

  isWhole({ extent }: Operand): boolean {
    return extent % this.#block === 0;
  }

  /** The first value with the elements of a value. */
  rootOf(name: string): string {
    return this.#same.get(name) ?? name;
  }

  isResult(value: string): boolean {
    return this.#graph.outputs.some(({ name }) => name === value);
  }

  shape(value: string): readonly number[] | undefined {
    return this.#values.get(value)?.shape.map(Number);
  }
}

import type { OnnxGraph, OnnxNode, OnnxValue } from '../../../soap/onnx/model.ts';
import { int, ints } from '../../../soap/ops/emitter.ts';
import { intAttribute, intsAttribute, numberAttribute } from './attributes.ts';
import type { ChannelBlock } from './channel-block.ts';
import { BLOCKS } from './channel-block.ts';
import { NodeWriter } from './node-writer.ts';

/** Products of fewer rows or columns stay: putting them into blocks costs more than it gains. Source: measured, docs/performance/kernels.md. */
const MIN_EXTENT = 256;
/** The least length of the sums, where the first operand is read as it lies, and where it is read across. Source: as above. */
const MIN_LENGTH = { along: 1024, across: 512 } as const;

/** A Transpose of so many elements takes twice as long as the way by blocks. Source: as above. */
const LARGE_TRANSPOSE = 2 ** 20;

/** A matrix that is multiplied, as it lies in memory. */
interface Operand {
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

/**
 * Rewrites large matrix products into the library's convolutions of one tap over blocks of channels: rows of one operand are
 * the places of an image with the sum's terms as channels, those of the other the filters. Putting both into blocks transposes
 * them on the way, where MLAS's product packs an operand that is read across many times over. What comes out is the
 * same, bit for bit: both sum 128 terms at a time. A Transpose that only such products read goes, and an Add of a bias.
 *
 * A result that is a result of the graph has four axes there, of the same elements.
 *
 * Source: MLAS, sgemm.cpp and snchwc.cpp; speeds measured in docs/performance/kernels.md.
 */
export function useBlockProducts(graph: OnnxGraph, block: ChannelBlock | undefined): OnnxGraph {
  return block === undefined ? graph : new Rewriter(graph, block).rewrite();
}

class Rewriter {
  readonly #graph: OnnxGraph;
  readonly #block: ChannelBlock;
  readonly #writer: NodeWriter;
  readonly #values: ReadonlyMap<string, OnnxValue>;
  readonly #readers = new Map<string, OnnxNode[]>();
  /** Matrices that are another one transposed, and that one. */
  readonly #transposed = new Map<string, string>();
  /** Values that have the elements of another one in other axes, and that one. */
  readonly #same = new Map<string, string>();
  /** Matrices in blocks, by name and axis of the channels. */
  readonly #blocked = new Map<string, string>();
  /** Results of the graph that have other axes now, and their names as they were. */
  readonly #results = new Map<string, readonly number[]>();
  readonly #renamed = new Map<string, string>();

  constructor(graph: OnnxGraph, block: ChannelBlock) {
    this.#graph = graph;
    this.#block = block;
    this.#writer = new NodeWriter(graph, 'product');
    this.#values = new Map(
      [...graph.inputs, ...graph.outputs, ...(graph.inner ?? [])].map((value) => [value.name, value]),
    );
    for (const node of graph.nodes) {
      const [source] = node.inputs;
      if (node.opType === 'Reshape') this.#same.set(node.outputs[0]!, this.#same.get(source!) ?? source!);
      for (const input of node.inputs) this.#readers.set(input, [...(this.#readers.get(input) ?? []), node]);
      if (node.opType === 'Transpose' && intsAttribute(node, 'perm', []).join() === '1,0') {
        this.#transposed.set(node.outputs[0]!, node.inputs[0]!);
      }
    }
  }

  rewrite(): OnnxGraph {
    const fused = new Set<OnnxNode>();
    for (const node of this.#graph.nodes) {
      if (fused.has(node)) continue;
      const product = this.#productOf(node);
      const add = product && this.#biasAfter(node, product);
      if (add !== undefined) fused.add(add.node);
      if (product === undefined) this.#keep(node);
      else this.#emitProduct({ ...product, bias: add?.bias ?? product.bias }, (add?.node ?? node).outputs[0]!);
    }
    const outputs = this.#graph.outputs.map((value) => ({
      ...value,
      shape: this.#results.get(value.name) ?? value.shape,
    }));
    return { ...this.#graph, nodes: this.#needed(), initializers: this.#writer.initializers, outputs };
  }

  /** A node that is no product: as it is, but for the turning of a large matrix, which goes by way of blocks. */
  #keep(node: OnnxNode): void {
    const [y] = node.outputs;
    const source = this.#transposed.get(y!);
    const shape = this.#shape(y!);
    const turned = source === undefined ? undefined : this.#operand(source, false, true);
    const isLarge = turned !== undefined && turned.extent * turned.terms >= LARGE_TRANSPOSE;
    if (isLarge && turned.extent % this.#block === 0 && shape !== undefined && !this.#isResult(y!)) {
      const order = { channels: int(turned.extent), channels_last: int(0) };
      const blocks = this.#inBlocks(turned, true, turned.terms);
      this.#writer.reshape(
        this.#writer.emit('ReorderOutput', [blocks], { attributes: order, domain: BLOCKS }),
        shape,
        y,
      );
      return;
    }
    const inputs = node.inputs.map((input) => this.#renamed.get(input) ?? input);
    this.#writer.nodes.push({ ...node, inputs });
  }

  #productOf(node: OnnxNode): Product | undefined {
    const { opType, domain, inputs } = node;
    const isGemm = opType === 'Gemm' && domain === '';
    if (!isGemm && !['MatMul', 'FusedMatMul'].includes(opType)) return undefined;
    if (['alpha', 'beta'].some((name) => numberAttribute(node, name, 1) !== 1)) return undefined;
    if (['transBatchA', 'transBatchB'].some((name) => intAttribute(node, name, 0) !== 0)) return undefined;
    const a = this.#operand(inputs[0]!, intAttribute(node, 'transA', 0) === 0, true);
    const b = this.#operand(inputs[1]!, intAttribute(node, 'transB', 0) === 1, false);
    const length = a?.terms;
    if (a === undefined || b === undefined || length === undefined) return undefined;
    const bias = inputs[2] === '' ? undefined : inputs[2];
    if (bias !== undefined && this.#shape(bias)?.join() !== String(b.extent)) return undefined;
    const least = MIN_LENGTH[a.along ? 'along' : 'across'];
    if (length < least || length % this.#block !== 0 || Math.min(a.extent, b.extent) < MIN_EXTENT) return undefined;
    const filters = bias === undefined ? [a, b] : [b];
    return filters.some(({ extent }) => extent % this.#block === 0) ? { a, b, length, bias } : undefined;
  }

  /**
   * A matrix, or several of a first operand that is read along its rows, under each other; undefined for anything else, and for
   * constants, which the library packs once.
   */
  #operand(name: string, along: boolean, isFirst: boolean): (Operand & { readonly terms: number }) | undefined {
    const shape = this.#shape(name);
    if (shape === undefined || shape.length < 2 || this.#values.get(name)?.dtype !== 'float32') return undefined;
    const original = this.#transposed.get(name);
    if (original !== undefined && this.#values.has(original)) return this.#operand(original, !along, isFirst);
    if (shape.length > 2 && !(isFirst && along)) return undefined;
    const [rows, columns] = [shape.slice(0, -1).reduce((x, y) => x * y, 1), shape.at(-1)!];
    return along ? { name, along, extent: rows, terms: columns } : { name, along, extent: columns, terms: rows };
  }

  /** An Add of a bias that is all that reads a product, with its bias, which has to be there before. */
  #biasAfter({ outputs: [y] }: OnnxNode, { b, bias }: Product): { node: OnnxNode; bias: string } | undefined {
    const [node, ...others] = this.#readers.get(y!) ?? [];
    if (node?.opType !== 'Add' || others.length > 0 || bias !== undefined || this.#isResult(y!)) return undefined;
    const added = node.inputs.find((input) => input !== y);
    const isVector = added !== undefined && this.#shape(added)?.join() === String(b.extent);
    const isThere = this.#graph.inputs.some(({ name }) => name === added);
    return isVector && isThere && b.extent % this.#block === 0 ? { node, bias: added } : undefined;
  }

  #emitProduct({ a, b, length, bias }: Product, output: string): void {
    const whole = ({ extent }: Operand): boolean => extent % this.#block === 0;
    // The fewer rows are the image, which is read again for every few filters.
    const byRows = bias !== undefined || (whole(b) && (a.extent <= b.extent || !whole(a)));
    const [image, filters] = byRows ? [a, b] : [b, a];
    const weight = this.#writer.reshape(this.#inBlocks(filters, !filters.along, length), [
      filters.extent,
      length,
      1,
      1,
    ]);
    const inputs = [this.#inBlocks(image, image.along, length), weight, ...(bias === undefined ? [] : [bias])];
    const attributes = {
      kernel_shape: ints([1, 1]),
      strides: ints([1, 1]),
      dilations: ints([1, 1]),
      pads: ints([0, 0, 0, 0]),
      group: int(1),
    };
    const result = this.#writer.emit('Conv', inputs, { attributes, domain: BLOCKS });
    const matrix = this.#shape(output) ?? [a.extent, b.extent];
    const isResult = this.#isResult(output);
    const axes = byRows ? [1, 1, a.extent, b.extent] : [1, a.extent, 1, b.extent];
    const order = { channels: int(filters.extent), channels_last: int(byRows ? 1 : 0) };
    const written = this.#writer.emit('ReorderOutput', [result], {
      attributes: order,
      domain: BLOCKS,
      output: isResult ? output : undefined,
    });
    if (isResult) this.#results.set(output, axes);
    if (!isResult) this.#writer.reshape(written, matrix, output);
    else if (this.#readers.has(output)) this.#renamed.set(output, this.#writer.reshape(written, matrix));
  }

  /** A matrix in blocks of channels: either its columns are the channels and its rows the places, or the other way round. */
  #inBlocks({ name, extent, along }: Operand, columns: boolean, length: number): string {
    const [height, width] = along ? [extent, length] : [length, extent];
    const key = `${this.#same.get(name) ?? name} ${columns} ${width}`;
    const known = this.#blocked.get(key);
    if (known !== undefined) return known;
    const image = this.#writer.reshape(
      this.#renamed.get(name) ?? name,
      columns ? [1, 1, height, width] : [1, height, 1, width],
    );
    const blocked = this.#writer.emit('ReorderInput', [image], {
      attributes: { channels_last: int(columns ? 1 : 0) },
      domain: BLOCKS,
    });
    this.#blocked.set(key, blocked);
    return blocked;
  }

  /** All nodes but those for transposes that nothing reads any more. */
  #needed(): OnnxNode[] {
    const read = new Set(this.#graph.outputs.map(({ name }) => name));
    const given = new Set(this.#graph.nodes.flatMap(({ outputs }) => outputs));
    const needed = this.#writer.nodes.toReversed().filter(({ inputs, outputs }) => {
      const [y] = outputs;
      const mayGo = this.#transposed.has(y!) || !given.has(y!);
      if (mayGo && outputs.every((output) => !read.has(output))) return false;
      for (const input of inputs) read.add(input);
      return true;
    });
    return needed.toReversed();
  }

  #isResult(value: string): boolean {
    return this.#graph.outputs.some(({ name }) => name === value);
  }

  #shape(value: string): readonly number[] | undefined {
    return this.#values.get(value)?.shape.map(Number);
  }
}

import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor } from '../../../soap/onnx/model.ts';
import { int, ints } from '../../../soap/ops/emitter.ts';
import type { Operand, PlannedProduct } from './block-plan.ts';
import { BlockPlan } from './block-plan.ts';
import type { ChannelBlock } from './channel-block.ts';
import { BLOCKS } from './channel-block.ts';
import { isRowSum } from './block-values.ts';

/** A Transpose of so many elements takes twice as long as the way by blocks. Source: as above. */
const LARGE_TRANSPOSE = 2 ** 20;

/**
 * Rewrites large matrix products into the library's convolutions of one tap over blocks of channels: rows of one operand are
 * the places of an image with the sum's terms as channels, those of the other the filters. Putting both into blocks transposes
 * them on the way, where MLAS's product packs an operand that is read across many times over. What comes out is the
 * same, bit for bit: both sum 128 terms at a time. A Transpose that only such products read goes, and an Add of a bias.
 *
 * What a product gives stays in blocks where only elementwise nodes, sums over its rows, and products read it: such blocks of
 * columns are an image for a product along the rows, and filters for one across.
 *
 * A result that is a result of the graph may have other axes there, of the same elements.
 *
 * Source: MLAS, sgemm.cpp and snchwc.cpp; speeds measured in docs/performance.md.
 */
export function useBlockProducts(graph: OnnxGraph, block: ChannelBlock | undefined): OnnxGraph {
  return block === undefined ? graph : new Rewriter(graph, block).rewrite();
}

class Rewriter {
  readonly #graph: OnnxGraph;
  readonly #plan: BlockPlan;
  readonly #block: ChannelBlock;
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers: Map<string, OnnxTensor>;
  /** Matrices in blocks, by name and axis of the channels. */
  readonly #blocked = new Map<string, string>();
  /** Results of the graph that have other axes now, and their names as they were. */
  readonly #results = new Map<string, readonly number[]>();
  readonly #renamed = new Map<string, string>();
  #count = 0;

  constructor(graph: OnnxGraph, block: ChannelBlock) {
    this.#graph = graph;
    this.#plan = new BlockPlan(graph, block);
    this.#block = block;
    this.#initializers = new Map(graph.initializers);
  }

  rewrite(): OnnxGraph {
    for (const node of this.#graph.nodes) {
      const planned = this.#plan.products.get(node);
      if (planned !== undefined) this.#emitProduct(planned);
      else if (!this.#plan.fused.has(node)) this.#keep(node);
    }
    const outputs = this.#graph.outputs.map((value) => ({
      ...value,
      shape: this.#results.get(value.name) ?? value.shape,
    }));
    const inner = this.#graph.inner?.map((value) => ({
      ...value,
      shape: this.#plan.columns.has(value.name) ? inBlocksOf(value.shape.map(Number)) : value.shape,
    }));
    const initializers = this.#initializers;
    return { ...this.#graph, nodes: this.#needed(), initializers, outputs, ...(inner && { inner }) };
  }

  /** A node that is no product: as it is, but for the turning of a large matrix that others read too. */
  #keep(node: OnnxNode): void {
    const [y] = node.outputs;
    if (this.#plan.columns.has(node.inputs[0]!) && this.#emitRowSum(node)) return;
    if (this.#plan.columns.has(y!) && node.opType === 'Reshape') return;
    const source = this.#plan.transposed.get(y!);
    const shape = this.#plan.shape(y!);
    const turned = source === undefined ? undefined : this.#plan.operand(source, false, true);
    const isLarge =
      turned !== undefined && turned.extent * turned.terms >= LARGE_TRANSPOSE && this.#plan.isWhole(turned);
    if (isLarge && shape !== undefined && !this.#plan.isResult(y!)) {
      const order = { channels: int(turned.extent), channels_last: int(0) };
      const blocks = this.#inBlocks(turned, true, turned.terms);
      this.#reshape(this.#emit('ReorderOutput', [blocks], order, BLOCKS), shape, y);
      return;
    }
    const inputs = node.inputs.map((input) =>
      this.#plan.columns.has(input) ? this.#plan.rootOf(input) : (this.#renamed.get(input) ?? input),
    );
    this.#nodes.push({ ...node, inputs });
  }

  /** The sum over the rows of a matrix in blocks of its columns. Returns whether the node is one. */
  #emitRowSum(node: OnnxNode): boolean {
    const [x] = node.inputs;
    const shape = this.#plan.shape(x!)!;
    if (!isRowSum(node, this.#graph, shape)) return false;
    const [output, block] = [node.outputs[0]!, this.#block];
    const blocks = this.#reshape(this.#plan.rootOf(x!), [shape[1]! / block, shape[0]!, block]);
    const isResult = this.#plan.isResult(output);
    const axes = this.#constant([1]);
    const sums = this.#emit('ReduceSum', [blocks, axes], { keepdims: int(0) }, '', isResult ? output : undefined);
    if (isResult) this.#results.set(output, [shape[1]! / block, block]);
    if (!isResult) this.#reshape(sums, this.#plan.shape(output) ?? [shape[1]!], output);
    else if (this.#plan.readers.has(output)) this.#renamed.set(output, this.#reshape(sums, [shape[1]!]));
    return true;
  }

  #emitProduct({ a, b, length, bias, byRows, output }: PlannedProduct): void {
    const [image, filters] = byRows ? [a, b] : [b, a];
    const weight = this.#reshape(this.#inBlocks(filters, !filters.along, length), [filters.extent, length, 1, 1]);
    const inputs = [this.#inBlocks(image, image.along, length), weight, ...(bias === undefined ? [] : [bias])];
    const attributes = {
      kernel_shape: ints([1, 1]),
      strides: ints([1, 1]),
      dilations: ints([1, 1]),
      pads: ints([0, 0, 0, 0]),
      group: int(1),
    };
    const staysInBlocks = this.#plan.columns.has(output);
    const result = this.#emit('Conv', inputs, attributes, BLOCKS, staysInBlocks ? output : undefined);
    if (staysInBlocks) return;
    const matrix = this.#plan.shape(output) ?? [a.extent, b.extent];
    const isResult = this.#plan.isResult(output);
    const axes = byRows ? [1, 1, a.extent, b.extent] : [1, a.extent, 1, b.extent];
    const order = { channels: int(filters.extent), channels_last: int(byRows ? 1 : 0) };
    const written = this.#emit('ReorderOutput', [result], order, BLOCKS, isResult ? output : undefined);
    if (isResult) this.#results.set(output, axes);
    if (!isResult) this.#reshape(written, matrix, output);
    else if (this.#plan.readers.has(output)) this.#renamed.set(output, this.#reshape(written, matrix));
  }

  /** A matrix in blocks of channels: either its columns are the channels and its rows the places, or the other way round. */
  #inBlocks({ name, extent, along }: Operand, columns: boolean, length: number): string {
    if (columns && this.#plan.columns.has(name)) return this.#plan.rootOf(name);
    const [height, width] = along ? [extent, length] : [length, extent];
    const key = `${this.#plan.rootOf(name)} ${columns} ${width}`;
    const known = this.#blocked.get(key);
    if (known !== undefined) return known;
    const image = this.#reshape(
      this.#renamed.get(name) ?? name,
      columns ? [1, 1, height, width] : [1, height, 1, width],
    );
    const blocked = this.#emit('ReorderInput', [image], { channels_last: int(columns ? 1 : 0) }, BLOCKS);
    this.#blocked.set(key, blocked);
    return blocked;
  }

  /** All nodes but those for transposes that nothing reads any more. */
  #needed(): OnnxNode[] {
    const read = new Set(this.#graph.outputs.map(({ name }) => name));
    const given = new Set(this.#graph.nodes.flatMap(({ outputs }) => outputs));
    const needed = this.#nodes.toReversed().filter(({ inputs, outputs }) => {
      const [y] = outputs;
      const mayGo = this.#plan.transposed.has(y!) || !given.has(y!);
      if (mayGo && outputs.every((output) => !read.has(output))) return false;
      for (const input of inputs) read.add(input);
      return true;
    });
    return needed.toReversed();
  }

  #reshape(value: string, shape: readonly number[], output?: string): string {
    return this.#emit('Reshape', [value, this.#constant(shape)], {}, '', output);
  }

  #constant(list: readonly number[]): string {
    const name = `product_c${this.#count++}`;
    this.#initializers.set(name, { dtype: 'int64', shape: [list.length], data: BigInt64Array.from(list, BigInt) });
    return name;
  }

  #emit(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>>,
    domain: string,
    output: string = `product_${this.#count}`,
  ): string {
    this.#nodes.push({ name: `product_${this.#count++}`, opType, domain, inputs, outputs: [output], attributes });
    return output;
  }
}

/** The axes of a matrix, or of several under each other, in blocks of its columns. */
function inBlocksOf(shape: readonly number[]): number[] {
  const columns = shape.at(-1)!;
  return [1, columns, 1, shape.slice(0, -1).reduce((x, y) => x * y, 1)];
}

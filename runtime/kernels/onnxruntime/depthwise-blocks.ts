import type { OnnxAttribute, OnnxGraph, OnnxNode } from '../../../soap/onnx/model.ts';
import { int, ints } from '../../../soap/ops/emitter.ts';
import { intAttribute, intsAttribute } from './attributes.ts';
import type { ChannelBlock } from './channel-block.ts';
import { BLOCKS } from './channel-block.ts';
import { NodeWriter } from './node-writer.ts';

/** A convolution that has a kernel for each channel: x [N, C, height, width], weight [C, 1, ...taps] -> y; signals are images of one row. */
interface Depthwise {
  readonly node: OnnxNode;
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly taps: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  /** Whether it is transposed, of stride 1: a convolution whose kernels go from the last tap to the first. */
  readonly reversed: boolean;
}

/** What the kernels of a convolution over blocks are made of. */
interface Kernels {
  /** Channels of a sample, and samples whose channels are those of one image. */
  readonly own: number;
  readonly together: number;
  readonly taps: readonly number[];
  readonly reversed: boolean;
}

/**
 * Rewrites convolutions with a kernel for each channel into those that the library has over blocks of channels, and transposed ones of
 * stride 1, which are such with reversed kernels. By itself the library does so only where weights are constants; else it multiplies a matrix of one
 * row for each channel. Where channels are no whole blocks, those of all samples together are taken for the channels of one image, if these are.
 *
 * Source: MLAS, snchwc.cpp, MLAS_NCHWC_CONV_DEPTHWISE_ALGORITHM; speeds measured in docs/performance/kernels.md.
 */
export function useDepthwiseBlocks(graph: OnnxGraph, block: ChannelBlock | undefined): OnnxGraph {
  return block === undefined ? graph : new Rewriter(graph, block).rewrite();
}

class Rewriter {
  readonly #graph: OnnxGraph;
  readonly #block: ChannelBlock;
  readonly #writer: NodeWriter;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  /** By value and shape of the images: what is made once. */
  readonly #blocked = new Map<string, string>();

  constructor(graph: OnnxGraph, block: ChannelBlock) {
    this.#graph = graph;
    this.#block = block;
    this.#writer = new NodeWriter(graph, 'depthwise');
    const values = [...graph.inputs, ...graph.outputs, ...(graph.inner ?? [])];
    this.#shapes = new Map(values.map(({ name, shape }) => [name, shape.map(Number)]));
  }

  rewrite(): OnnxGraph {
    for (const node of this.#graph.nodes) {
      const depthwise = this.#depthwise(node);
      if (depthwise === undefined) this.#writer.nodes.push(node);
      else this.#emitBlocked(depthwise);
    }
    return { ...this.#graph, nodes: this.#writer.nodes, initializers: this.#writer.initializers };
  }

  #depthwise(node: OnnxNode): Depthwise | undefined {
    const { opType, domain, inputs, outputs } = node;
    const reversed = opType === 'ConvTranspose';
    if (domain !== '' || (opType !== 'Conv' && !reversed)) return undefined;
    const [x, weight, y] = [inputs[0]!, inputs[1]!, outputs[0]!].map((name) => imagesOf(this.#shapes.get(name)));
    if (x === undefined || weight === undefined || y === undefined) return undefined;
    const [channels, perGroup, ...taps] = weight;
    const isDepthwise = intAttribute(node, 'group', 1) === channels && channels === x[1] && channels === y[1];
    const count = x[0]! * channels!;
    if (!isDepthwise || perGroup !== 1 || Math.max(...taps) === 1 || count % this.#block !== 0) return undefined;
    const [strides, dilations] = ['strides', 'dilations'].map((name) => perAxis(intsAttribute(node, name, []), 1));
    const given = perEnd(intsAttribute(node, 'pads', []));
    const pads = reversed ? given.map((pad, i) => dilations![i % 2]! * (taps[i % 2]! - 1) - pad) : given;
    const isPlain = Math.max(...strides!, 1 + Math.max(0, ...intsAttribute(node, 'output_padding', []))) === 1;
    if (reversed && (!isPlain || Math.min(...pads) < 0)) return undefined;
    return { node, x, y, taps, strides: strides!, dilations: dilations!, pads, reversed };
  }

  #emitBlocked({ node, x, y, taps, strides, dilations, pads, reversed }: Depthwise): void {
    const [input, weight, bias = ''] = node.inputs;
    const [samples, own] = [x[0]!, x[1]!];
    const together = own % this.#block === 0 ? 1 : samples;
    const channels = together * own;
    const images = this.#inBlocks(input!, [samples / together, channels, x[2]!, x[3]!]);
    const kernels = this.#kernels(weight!, { own, together, taps, reversed });
    const biases = bias === '' ? [] : [this.#repeated(bias, [own], together)];
    const attributes: Record<string, OnnxAttribute> = {
      kernel_shape: ints(taps),
      strides: ints(strides),
      dilations: ints(dilations),
      pads: ints(pads),
      group: int(channels),
    };
    const blocked = this.#writer.emit('Conv', [images, kernels, ...biases], { attributes, domain: BLOCKS });
    const [result] = node.outputs;
    const shape = this.#shapes.get(result!)!;
    const order = { channels: int(channels), channels_last: int(0) };
    if (together === 1 && String(shape) === String(y))
      this.#writer.emit('ReorderOutput', [blocked], { attributes: order, domain: BLOCKS, output: result });
    else
      this.#writer.reshape(
        this.#writer.emit('ReorderOutput', [blocked], { attributes: order, domain: BLOCKS }),
        shape,
        result,
      );
  }

  /** A value as images [N, C, height, width], whose channels are put into blocks. */
  #inBlocks(value: string, images: readonly number[]): string {
    const key = `${value} ${images}`;
    const known = this.#blocked.get(key);
    if (known !== undefined) return known;
    const source = String(this.#shapes.get(value)) === String(images) ? value : this.#writer.reshape(value, images);
    const blocked = this.#writer.emit('ReorderInput', [source], {
      attributes: { channels_last: int(0) },
      domain: BLOCKS,
    });
    this.#blocked.set(key, blocked);
    return blocked;
  }

  /** Kernels [C, 1, ...taps] of each channel, in blocks. */
  #kernels(weight: string, { own, together, taps, reversed }: Kernels): string {
    const count = taps[0]! * taps[1]!;
    const channels = own * together;
    const turned = reversed ? this.#backwards(this.#writer.reshape(weight, [own, count]), count) : weight;
    const all = this.#repeated(turned, [own, count], together);
    return this.#writer.reshape(this.#inBlocks(all, [1, channels, 1, count]), [channels, 1, ...taps]);
  }

  /** Rows of so many elements, from the last to the first. */
  #backwards(rows: string, count: number): string {
    const order = this.#writer.constant(Array.from({ length: count }, (_, i) => count - 1 - i));
    return this.#writer.emit('Gather', [rows, order], { attributes: { axis: int(1) } });
  }

  #repeated(value: string, shape: readonly number[], times: number): string {
    if (times === 1) return value;
    const target = this.#writer.constant([times, ...shape]);
    const rows = this.#writer.emit('Expand', [this.#writer.reshape(value, [1, ...shape]), target]);
    return this.#writer.reshape(rows, [times * shape[0]!, ...shape.slice(1)]);
  }
}

/** Shape of images or their kernels [., ., height, width]; undefined for volumes and what is not known. */
function imagesOf(shape: readonly number[] | undefined): readonly number[] | undefined {
  if (shape?.length === 4) return shape;
  return shape?.length === 3 ? [shape[0]!, shape[1]!, 1, shape[2]!] : undefined;
}

/** A number for each axis of images, from those of the axes that a node has. */
function perAxis(numbers: readonly number[], otherwise: number): readonly number[] {
  return [...Array.from({ length: 2 - numbers.length }, () => otherwise), ...numbers];
}

/** Pads of a node as [top, left, bottom, right]. */
function perEnd(pads: readonly number[]): readonly number[] {
  const axes = pads.length / 2;
  return [...perAxis(pads.slice(0, axes), 0), ...perAxis(pads.slice(axes), 0)];
}

import type { OnnxAttribute, OnnxGraph, OnnxNode } from '../../../soap/onnx/model.ts';
import { int, ints } from '../../../soap/ops/emitter.ts';
import { intAttribute, intsAttribute } from './attributes.ts';
import type { ChannelBlock } from './channel-block.ts';
import { BLOCKS } from './channel-block.ts';
import { NodeWriter } from './node-writer.ts';

/** How a convolution's weight [O, C, h, w] becomes that of one over blocks. */
interface BlockedConvolution {
  readonly node: OnnxNode;
  /** Channels read and written. */
  readonly channels: readonly [from: number, to: number];
  readonly taps: readonly [number, number];
  /** Whether the weight is read as the backward pass does: input and output channels changed, taps from the last to the first. */
  readonly reversed: boolean;
  readonly pads: readonly number[];
  /** Of few channels each, where there are several. */
  readonly groups: number;
}

/**
 * Rewrites convolutions of several taps with channels in whole blocks, or of few input channels, and transposed ones of stride 1, which are convolutions
 * with reversed weights, into the library's convolutions over blocks of channels. By itself the library does so only where
 * weights are constants, which those that are trained are not. A Relu that is the only reader becomes part of the convolution.
 * Transposed convolutions of one tap become convolutions. All else stays.
 *
 * Source: the library's NchwcTransformer, onnxruntime/core/optimizer/nchwc_transformer.cc; MLAS, snchwc.cpp; speeds measured in
 * docs/performance/kernels.md.
 */
export function useChannelBlocks(graph: OnnxGraph, block: ChannelBlock | undefined): OnnxGraph {
  return new Rewriter(graph, block).rewrite();
}

class Rewriter {
  readonly #graph: OnnxGraph;
  readonly #block: ChannelBlock | undefined;
  readonly #writer: NodeWriter;
  readonly #shapes: ReadonlyMap<string, readonly (number | string)[]>;
  readonly #readers = new Map<string, OnnxNode[]>();
  /** Values that exist over blocks too, and their names there. */
  readonly #blocked = new Map<string, string>();

  constructor(graph: OnnxGraph, block: ChannelBlock | undefined) {
    this.#graph = graph;
    this.#block = block;
    this.#writer = new NodeWriter(graph, 'blocks');
    this.#shapes = new Map([
      ...graph.inputs.map(({ name, shape }) => [name, shape] as const),
      ...[...graph.initializers].map(([name, { shape }]) => [name, shape] as const),
    ]);
    for (const node of graph.nodes) {
      for (const input of node.inputs) this.#readers.set(input, [...(this.#readers.get(input) ?? []), node]);
    }
  }

  rewrite(): OnnxGraph {
    const fused = new Set<OnnxNode>();
    for (const node of this.#graph.nodes) {
      if (fused.has(node)) continue;
      const convolution = this.#blockedForm(node);
      if (convolution !== undefined) {
        const relu = this.#onlyRelu(node.outputs[0]!);
        if (relu !== undefined) fused.add(relu);
        this.#emitBlocked(convolution, relu);
      } else if (isTransposedPointwise(node, this.#shapes.get(node.inputs[1] ?? ''))) this.#emitPointwise(node);
      else this.#writer.nodes.push(node);
    }
    return { ...this.#graph, nodes: this.#writer.nodes, initializers: this.#writer.initializers };
  }

  #blockedForm(node: OnnxNode): BlockedConvolution | undefined {
    const block = this.#block;
    const transposed = node.opType === 'ConvTranspose';
    if (block === undefined || node.domain !== '' || (node.opType !== 'Conv' && !transposed)) return undefined;
    const shape = this.#shapes.get(node.inputs[1]!)?.map(Number);
    if (shape?.length !== 4) return undefined;
    const [first, second, height, width] = [shape[0]!, shape[1]!, shape[2]!, shape[3]!];
    const groups = intAttribute(node, 'group', 1);
    const ofFew = second < block && !transposed;
    if (!ofFew && (second % block !== 0 || groups !== 1)) return undefined;
    if ((first / groups) % block !== 0 || height * width === 1) return undefined;
    const channels = transposed ? ([first, second] as const) : ([second, first] as const);
    const pads = intsAttribute(node, 'pads', [0, 0, 0, 0]);
    const common = { node, channels, taps: [height, width], reversed: transposed, groups } as const;
    if (!transposed) return { ...common, pads };
    const dilations = intsAttribute(node, 'dilations', [1, 1]);
    const padding = intsAttribute(node, 'output_padding', [0, 0]);
    const own = pads.map((pad, i) => dilations[i % 2]! * (common.taps[i % 2]! - 1) - pad);
    const isPlain =
      intsAttribute(node, 'strides', [1, 1]).every((stride) => stride === 1) && padding.every((p) => p === 0);
    return isPlain && own.every((pad) => pad >= 0) ? { ...common, pads: own } : undefined;
  }

  #onlyRelu(value: string): OnnxNode | undefined {
    const [reader, ...others] = this.#readers.get(value) ?? [];
    const isResult = this.#graph.outputs.some(({ name }) => name === value);
    return reader?.opType === 'Relu' && others.length === 0 && !isResult ? reader : undefined;
  }

  #emitBlocked({ node, channels, taps, reversed, pads, groups }: BlockedConvolution, relu: OnnxNode | undefined): void {
    const [x, weight] = [node.inputs[0]!, node.inputs[1]!];
    const inputs =
      channels[0] < this.#block!
        ? [x, this.#weightOfFew(weight, channels, taps)]
        : [this.#toBlocks(x), this.#blockedWeight(weight, channels, taps, reversed)];
    const attributes: Record<string, OnnxAttribute> = {
      kernel_shape: ints(taps),
      strides: ints(intsAttribute(node, 'strides', [1, 1])),
      dilations: ints(intsAttribute(node, 'dilations', [1, 1])),
      pads: ints(pads),
      group: int(groups),
      ...(relu !== undefined && { activation: { type: 'string', value: 'Relu' } as const }),
    };
    const result = this.#writer.emit('Conv', [...inputs, ...node.inputs.slice(2)], { attributes, domain: BLOCKS });
    const output = (relu ?? node).outputs[0]!;
    this.#blocked.set(output, result);
    this.#writer.emit('ReorderOutput', [result], {
      attributes: { channels: int(channels[1]), channels_last: int(0) },
      domain: BLOCKS,
      output,
    });
  }

  #toBlocks(value: string): string {
    const known = this.#blocked.get(value);
    if (known !== undefined) return known;
    const blocked = this.#writer.emit('ReorderInput', [value], {
      attributes: { channels_last: int(0) },
      domain: BLOCKS,
    });
    this.#blocked.set(value, blocked);
    return blocked;
  }

  /**
   * Blocks of output channels, blocks of input channels, taps, input channels of a block, output channels of a block. In two steps, which
   * the library copies by whole rows.
   */
  #blockedWeight(
    weight: string,
    [from, to]: readonly [number, number],
    [height, width]: readonly [number, number],
    reversed: boolean,
  ): string {
    const block = this.#block!;
    const taps = height * width;
    const [first, second] = reversed ? [from, to] : [to, from];
    const tapsOut = this.#tapsOutside(weight, [first * (second / block), block, height, width]);
    const [rows, perm] = reversed
      ? [
          [first / block, block, second / block, taps, block],
          [2, 0, 3, 1, 4],
        ]
      : [
          [first / block, block, taps * second],
          [0, 2, 1],
        ];
    const ordered = this.#writer.emit('Transpose', [this.#writer.reshape(tapsOut, rows)], {
      attributes: { perm: ints(perm) },
    });
    const backwards = this.#writer.constant(Array.from({ length: taps }, (_, i) => taps - 1 - i));
    const turned = reversed
      ? this.#writer.emit('Gather', [ordered, backwards], { attributes: { axis: int(2) } })
      : ordered;
    return this.#writer.reshape(turned, [to, from, height, width]);
  }

  /** For input channels that are less than a block, and stay as they are: as above without blocks of them. */
  #weightOfFew(
    weight: string,
    [from, to]: readonly [number, number],
    [height, width]: readonly [number, number],
  ): string {
    const block = this.#block!;
    const ordered = this.#tapsOutside(weight, [to / block, block, from, height * width]);
    return this.#writer.reshape(ordered, [to, from, height, width]);
  }

  /**
   * [a, block, b, c] -> [a, b, c, block], which the library's own reordering does with all threads: 4.5 ms of a Transpose amid an
   * iteration of 256 to 384 channels, 3x3.
   */
  #tapsOutside(weight: string, shape: readonly number[]): string {
    return this.#writer.emit('ReorderInput', [this.#writer.reshape(weight, shape)], {
      attributes: { channels_last: int(0) },
      domain: BLOCKS,
    });
  }

  #emitPointwise(node: OnnxNode): void {
    const weight = this.#writer.emit('Transpose', [node.inputs[1]!], { attributes: { perm: ints([1, 0, 2, 3]) } });
    const { output_padding: _, ...attributes } = node.attributes;
    const [x, , ...bias] = node.inputs;
    this.#writer.nodes.push({ ...node, opType: 'Conv', inputs: [x!, weight, ...bias], attributes });
  }
}

/** Whether a node is a transposed convolution of one tap, each place for itself. */
function isTransposedPointwise(node: OnnxNode, weight: readonly (number | string)[] | undefined): boolean {
  return (
    node.opType === 'ConvTranspose' &&
    weight?.length === 4 &&
    weight[2] === 1 &&
    weight[3] === 1 &&
    intAttribute(node, 'group', 1) === 1 &&
    intsAttribute(node, 'strides', [1, 1]).every((stride) => stride === 1) &&
    intsAttribute(node, 'pads', []).every((pad) => pad === 0) &&
    intsAttribute(node, 'output_padding', []).every((pad) => pad === 0)
  );
}

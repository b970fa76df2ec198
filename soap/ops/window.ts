import type { Attributes, Shape } from '../graph/graph.ts';
import type { OnnxNode } from '../onnx/model.ts';
import type { Interval, Region } from '../region/region.ts';
import type { Part } from './op.ts';
import { numbersAttribute, OpError } from './op.ts';
import { MAX_SPATIAL } from './spatial.ts';

/**
 * Sliding windows over the spatial axes (2 and up) of [N, C, ...]: what convolution and pooling share. All lists have one
 * entry per spatial axis. Source of the output size: ONNX Conv and MaxPool, auto_pad NOTSET.
 */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros before the first element of each spatial axis. */
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
}

/** The window of an op whose attributes {@link windowFromOnnx} made. */
export function windowOf(attributes: Attributes): Window {
  return {
    kernel: numbersAttribute(attributes, 'kernel'),
    strides: numbersAttribute(attributes, 'strides'),
    dilations: numbersAttribute(attributes, 'dilations'),
    padsBegin: numbersAttribute(attributes, 'padsBegin'),
    padsEnd: numbersAttribute(attributes, 'padsEnd'),
  };
}

/**
 * Reads the window attributes of an ONNX node; `auto_pad` becomes explicit pads.
 * @throws {OpError} for extents that no kernel can run
 */
export function windowFromOnnx(node: OnnxNode, input: Shape, kernelShape?: readonly number[]): Window {
  const window = windowWithoutPads(node, input, kernelShape);
  const spatial = input.slice(2);
  switch (autoPad(node)) {
    case 'NOTSET': {
      const pads = list(node, 'pads') ?? [...spatial, ...spatial].map(() => 0);
      checkList(node, 'pads', pads, 2 * spatial.length, 0);
      return { ...window, padsBegin: pads.slice(0, spatial.length), padsEnd: pads.slice(spatial.length) };
    }
    case 'VALID':
      return window;
    case 'SAME_UPPER':
      return samePads(window, spatial, Math.floor);
    case 'SAME_LOWER':
      return samePads(window, spatial, Math.ceil);
    default:
      throw new OpError(
        `${node.opType} has auto_pad ${autoPad(node)}; expected NOTSET, VALID, SAME_UPPER or SAME_LOWER`,
      );
  }
}

/**
 * The same with pads of zero, whatever the node says of them.
 * @throws {OpError} for extents that no kernel can run
 */
export function windowWithoutPads(node: OnnxNode, input: Shape, kernelShape?: readonly number[]): Window {
  const rank = input.length - 2;
  if (rank < 1 || rank > MAX_SPATIAL) {
    throw new OpError(
      `${node.opType} has an input of shape [${input}]; expected [N, C, ...] with 1 to ${MAX_SPATIAL} axes more`,
    );
  }
  const each = (value: number): number[] => Array.from({ length: rank }, () => value);
  const kernel = list(node, 'kernel_shape') ?? kernelShape ?? [];
  const strides = list(node, 'strides') ?? each(1);
  const dilations = list(node, 'dilations') ?? each(1);
  checkList(node, 'kernel_shape', kernel, rank, 1);
  checkList(node, 'strides', strides, rank, 1);
  checkList(node, 'dilations', dilations, rank, 1);
  return { kernel, strides, dilations, padsBegin: each(0), padsEnd: each(0) };
}

/** The attribute `auto_pad`. */
export function autoPad({ attributes }: OnnxNode): string {
  const attribute = attributes['auto_pad'];
  return attribute?.type === 'string' ? attribute.value : 'NOTSET';
}

/** An attribute that is a list of integers, or undefined. */
export function list(node: OnnxNode, name: string): readonly number[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.type === 'ints' ? attribute.value : undefined;
}

/** @throws {OpError} unless the list has so many integers of at least the given value */
export function checkList(
  { opType }: OnnxNode,
  name: string,
  values: readonly number[],
  count: number,
  least: number,
): void {
  if (values.length !== count || values.some((value) => !Number.isSafeInteger(value) || value < least)) {
    throw new OpError(`${opType} has ${name} [${values}]; expected ${count} integers of at least ${least}`);
  }
}

/** Pads that make the output ceil(input / stride); `half` says on which side an odd one goes. Source: ONNX, auto_pad. */
function samePads(window: Window, spatial: readonly number[], half: (total: number) => number): Window {
  const totals = spatial.map((extent, i) => {
    const stride = window.strides[i]!;
    return Math.max(0, (Math.ceil(extent / stride) - 1) * stride + reach(window, i) - extent);
  });
  const padsBegin = totals.map((total) => half(total / 2));
  return { ...window, padsBegin, padsEnd: totals.map((total, i) => total - padsBegin[i]!) };
}

/** Extents of the spatial axes after the window, rounding down. */
export function windowOutput(window: Window, spatial: readonly number[]): number[] {
  return spatial.map((extent, i) => {
    const padded = extent + window.padsBegin[i]! + window.padsEnd[i]!;
    const size = Math.floor((padded - reach(window, i)) / window.strides[i]!) + 1;
    if (size < 1) throw new OpError(`a window of ${window.kernel} does not fit into an input of ${spatial}`);
    return size;
  });
}

/**
 * In how many parts the output of a window may be cut, per spatial axis: an axis with places that see nothing but padding
 * stays whole, since such a part would read nothing.
 */
export function windowUnits(window: Window, output: readonly number[]): number[] {
  return output.map((extent, i) =>
    window.padsBegin[i]! >= reach(window, i) || window.padsEnd[i]! >= reach(window, i) ? 1 : extent,
  );
}

/** The spatial intervals that an output box reads: halos included, padding excluded. */
export function windowInput(window: Window, output: Region, spatial: readonly number[]): Interval[] {
  return output.map(([start, end], i): Interval => {
    const first = start * window.strides[i]! - window.padsBegin[i]!;
    const last = (end - 1) * window.strides[i]! - window.padsBegin[i]! + reach(window, i);
    return [Math.max(0, first), Math.min(spatial[i]!, last)];
  });
}

/** The padding that remains around a part: [begin..., end...], as ONNX writes it. */
export function partPads(window: Window, part: Part): number[] {
  const begin: number[] = [];
  const end: number[] = [];
  for (let i = 0; i < window.kernel.length; i++) {
    const [outStart, outEnd] = part.output[i + 2]!;
    const [inStart, inEnd] = part.inputs[0]![i + 2]!;
    const first = outStart * window.strides[i]! - window.padsBegin[i]!;
    const last = (outEnd - 1) * window.strides[i]! - window.padsBegin[i]! + reach(window, i);
    begin.push(inStart - first);
    end.push(last - inEnd);
  }
  return [...begin, ...end];
}

/** Elements from the first to the last tap of a window, both included. */
export function reach({ kernel, dilations }: Window, axis: number): number {
  return (kernel[axis]! - 1) * dilations[axis]! + 1;
}

/** Elements that a window meets. */
export function tapCount({ kernel }: Window): number {
  return kernel.reduce((a, b) => a * b, 1);
}

import type { Interval, Region } from '../strategy/region.ts';
import type { OnnxNode } from '../onnx/model.ts';
import type { Attributes } from '../graph/graph.ts';
import type { Part } from './op.ts';
import { numbersAttribute, OpError } from './op.ts';

/**
 * Sliding windows over the spatial axes (2 and up) of [N, C, ...]: what convolution and pooling share.
 * Source of the output size: ONNX Conv and MaxPool, auto_pad NOTSET.
 */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros before the first element of each spatial axis. */
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
}

/** The window of an op whose attributes {@link windowAttributes} made. */
export function windowOf(attributes: Attributes): Window {
  return {
    kernel: numbersAttribute(attributes, 'kernel'),
    strides: numbersAttribute(attributes, 'strides'),
    dilations: numbersAttribute(attributes, 'dilations'),
    padsBegin: numbersAttribute(attributes, 'padsBegin'),
    padsEnd: numbersAttribute(attributes, 'padsEnd'),
  };
}

/** Reads the window attributes of an ONNX node with two spatial axes. */
export function windowFromOnnx(
  node: OnnxNode,
  inputShape: readonly number[],
  kernelShape?: readonly number[],
): Attributes {
  if (inputShape.length !== 4)
    throw new OpError(`${node.opType} has an input of shape [${inputShape}]; expected [N, C, H, W]`);
  const autoPad = node.attributes['auto_pad'];
  if (autoPad?.type === 'string' && !['NOTSET', 'VALID'].includes(autoPad.value)) {
    throw new OpError(`${node.opType} has auto_pad ${autoPad.value}; expected explicit pads`);
  }
  const kernel = list(node, 'kernel_shape', kernelShape ?? []);
  if (kernel.length !== 2) throw new OpError(`${node.opType} has kernel_shape [${kernel}]; expected two extents`);
  const pads = list(node, 'pads', [0, 0, 0, 0]);
  const attributes = {
    kernel,
    strides: list(node, 'strides', [1, 1]),
    dilations: list(node, 'dilations', [1, 1]),
    padsBegin: pads.slice(0, 2),
    padsEnd: pads.slice(2),
  };
  checkWindow(node.opType, windowOf(attributes));
  return attributes;
}

function list(node: OnnxNode, name: string, otherwise: readonly number[]): readonly number[] {
  const attribute = node.attributes[name];
  return attribute?.type === 'ints' ? attribute.value : otherwise;
}

/** Refuses extents that no kernel can run. */
function checkWindow(opType: string, { kernel, strides, dilations, padsBegin, padsEnd }: Window): void {
  for (const [name, values, least] of [
    ['kernel_shape', kernel, 1],
    ['strides', strides, 1],
    ['dilations', dilations, 1],
    ['pads', [...padsBegin, ...padsEnd], 0],
  ] as const) {
    const expected = name === 'pads' ? 4 : 2;
    if (values.length !== expected || values.some((value) => !Number.isSafeInteger(value) || value < least)) {
      throw new OpError(`${opType} has ${name} [${values}]; expected ${expected} integers of at least ${least}`);
    }
  }
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
function reach({ kernel, dilations }: Window, axis: number): number {
  return (kernel[axis]! - 1) * dilations[axis]! + 1;
}

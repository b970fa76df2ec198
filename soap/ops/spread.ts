import type { Shape } from '../graph/graph.ts';
import type { OnnxNode } from '../onnx/model.ts';
import type { Interval, Region } from '../region/region.ts';
import type { Part } from './op.ts';
import { OpError } from './op.ts';
import type { Window } from './window.ts';
import { autoPad, checkList, list, reach, windowFromOnnx, windowOf, windowWithoutPads } from './window.ts';

/**
 * The window of a transposed convolution: each input spreads over its taps, then the pads are cut off the output. End pads
 * are less the output padding of the node; where they are negative, the output goes on behind what the inputs reach.
 * @throws {OpError} for extents that no kernel can run
 */
export function spreadFromOnnx(node: OnnxNode, input: Shape, kernelShape: readonly number[]): Window {
  const spatial = input.slice(2);
  const outputPadding = list(node, 'output_padding') ?? spatial.map(() => 0);
  checkList(node, 'output_padding', outputPadding, spatial.length, 0);
  const same = autoPad(node).startsWith('SAME');
  const wanted = list(node, 'output_shape')?.slice(-spatial.length);
  const window =
    same || wanted ? windowWithoutPads(node, input, kernelShape) : windowFromOnnx(node, input, kernelShape);
  outputPadding.forEach((padding, i) => {
    const most = Math.max(window.strides[i]!, window.dilations[i]!);
    if (padding >= most)
      throw new OpError(`ConvTranspose has output_padding [${outputPadding}]; expected less than ${most}`);
  });
  const padded = { ...window, padsEnd: window.padsEnd.map((pad, i) => pad - outputPadding[i]!) };
  if (!same && wanted === undefined) return padded;
  const extents = wanted ?? spatial.map((extent, i) => extent * window.strides[i]!);
  checkList(node, 'output_shape', extents, spatial.length, 1);
  return spreadTo(padded, spatial, extents, autoPad(node) === 'SAME_UPPER');
}

/** Pads that give the wanted output of what spreads with the output padding. Source: ONNX ConvTranspose, output_shape. */
function spreadTo(window: Window, spatial: readonly number[], wanted: readonly number[], upper: boolean): Window {
  const totals = spreadOutput(window, spatial).map((extent, i) => extent - wanted[i]!);
  const padsBegin = totals.map((total) => Math.max(0, upper ? Math.floor(total / 2) : Math.ceil(total / 2)));
  return { ...window, padsBegin, padsEnd: window.padsEnd.map((pad, i) => pad + totals[i]! - padsBegin[i]!) };
}

/** Extents of the output. @throws {OpError} where the pads leave nothing */
export function spreadOutput(window: Window, spatial: readonly number[]): number[] {
  return spatial.map((extent, i) => {
    const whole = (extent - 1) * window.strides[i]! + reach(window, i);
    const left = whole - window.padsBegin[i]! - window.padsEnd[i]!;
    if (left < 1) throw new OpError(`ConvTranspose has pads that leave nothing of its output of ${whole}`);
    return left;
  });
}

/**
 * In how many parts the output may be cut, per spatial axis: an axis with places that no input reaches, between the windows
 * or behind them, stays whole, since a part of such places would read nothing.
 */
export function spreadUnits(window: Window, output: readonly number[]): number[] {
  return output.map((extent, i) => (window.padsEnd[i]! < 0 || window.strides[i]! > reach(window, i) ? 1 : extent));
}

/** The spatial intervals of the inputs that reach into an output box. */
export function spreadInput(window: Window, output: Region, spatial: readonly number[]): Interval[] {
  return output.map(([start, end], i): Interval => {
    const stride = window.strides[i]!;
    const [from, to] = [start + window.padsBegin[i]!, end + window.padsBegin[i]!];
    const first = Math.min(Math.ceil((from - reach(window, i) + 1) / stride), Math.floor(from / stride));
    return [Math.max(0, first), Math.min(spatial[i]!, Math.floor((to - 1) / stride) + 1)];
  });
}

/** What is cut off the places that a part's inputs spread to; negative where its box goes on behind them. */
export function partCuts(part: Part): { readonly begin: readonly number[]; readonly end: readonly number[] } {
  const window = windowOf(part.signature.attributes);
  const axes = window.kernel.map((_, i) => {
    const stride = window.strides[i]!;
    const [outStart, outEnd] = part.output[i + 2]!;
    const [inStart, inEnd] = part.inputs[0]![i + 2]!;
    return {
      begin: outStart + window.padsBegin[i]! - inStart * stride,
      end: (inEnd - 1) * stride + reach(window, i) - (outEnd + window.padsBegin[i]!),
    };
  });
  return { begin: axes.map(({ begin }) => begin), end: axes.map(({ end }) => end) };
}

import type { NodeReader } from './node-reader.ts';
import { positions, stridesOf } from './indexing.ts';
import { elementCount } from '../../../soap/onnx/indexing.ts';

/** A sliding window over the spatial axes of [N, C, ...spatial]. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding before and after each axis: first all begins, then all ends. */
  readonly pads: readonly number[];
}

/** Reads the window's attributes; the rank is that of the kernel. */
export function readWindow(node: NodeReader): (kernel: readonly number[]) => Window {
  const [kernelShape, strides, dilations, pads] = [
    node.ints('kernel_shape'),
    node.ints('strides'),
    node.ints('dilations'),
    node.ints('pads'),
  ];
  const autoPad = node.string('auto_pad', 'NOTSET');
  if (autoPad !== 'NOTSET') throw node.error(`auto_pad is ${autoPad}; expected NOTSET with explicit pads`);
  return (kernel) => {
    if (kernelShape !== undefined && kernelShape.join() !== kernel.join()) {
      throw node.error(`kernel_shape is [${kernelShape}]; the weight has [${kernel}]`);
    }
    const window = {
      kernel,
      strides: strides ?? kernel.map(() => 1),
      dilations: dilations ?? kernel.map(() => 1),
      pads: pads ?? [...kernel, ...kernel].map(() => 0),
    };
    const rank = kernel.length;
    if (window.strides.length !== rank || window.dilations.length !== rank || window.pads.length !== 2 * rank) {
      throw node.error(`strides, dilations or pads are not of rank ${rank}`);
    }
    return window;
  };
}

/** Extents that the window yields over an input: floor((in + pads - span) / stride) + 1. */
export function windowOutput({ kernel, strides, dilations, pads }: Window, input: readonly number[]): number[] {
  return input.map((extent, axis) => {
    const span = (kernel[axis]! - 1) * dilations[axis]! + 1;
    const padded = extent + pads[axis]! + pads[axis + kernel.length]!;
    return Math.floor((padded - span) / strides[axis]!) + 1;
  });
}

/** Where the taps of a window fall. */
export interface Taps {
  /** Positions of the window, row-major. */
  readonly places: number;
  /** Elements of the kernel. */
  readonly count: number;
  /** Of place p and tap t, at p * count + t: the position in the input's spatial axes, or -1 in the padding. */
  readonly at: Int32Array;
}

/** Lists the taps of every place of a window that slides over `input` and stops at `output` places. */
export function windowTaps(window: Window, input: readonly number[], output: readonly number[]): Taps {
  const { kernel, strides, dilations, pads } = window;
  const [places, count] = [elementCount(output), elementCount(kernel)];
  // Along each axis the coordinate is place * stride + tap * dilation - pad: one walk over places and taps together.
  const walked = input.map((_, axis) => {
    const unit = [...strides.map((s, k) => (k === axis ? s : 0)), ...dilations.map((d, k) => (k === axis ? d : 0))];
    return positions([...output, ...kernel], unit, -pads[axis]!);
  });
  const at = new Int32Array(places * count);
  stridesOf(input).forEach((stride, axis) => {
    const [coordinates, extent] = [walked[axis]!, input[axis]!];
    coordinates.forEach((coordinate, i) => {
      if (coordinate < 0 || coordinate >= extent) at[i] = -1;
      else if (at[i] !== -1) at[i]! += coordinate * stride;
    });
  });
  return { places, count, at };
}

import { dtypeCode } from '../../../soap/onnx/element-types.ts';
import type { OnnxNode } from '../../../soap/onnx/model.ts';
import { placeCount, placesOf } from './places.ts';
import type { Rewriter } from './rewriter.ts';

/** Less than any element: what padding counts as. */
const LOWEST = -3.4028234663852886e38;

/** A window of a pooling node, per spatial axis. */
interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
}

/**
 * MaxPool with the flat index of each largest element, of equal ones the first: one tap of the window after the other is
 * compared with the largest, from the last to the first.
 */
export function writePooling(node: OnnxNode, to: Rewriter): boolean {
  const [x = '', y = '', indices = ''] = [node.inputs[0], ...node.outputs];
  const shape = to.shapeOf(x);
  const spatial = shape.slice(2);
  const window = windowOf(node, spatial.length);
  const places = to.shapeOf(y).slice(2);
  const { storage_order: _, ...attributes } = node.attributes;
  to.node('MaxPool', [x], attributes, y);
  const padded = to.node('Pad', [
    x,
    to.integers(0, 0, ...window.padsBegin, 0, 0, ...window.padsEnd),
    to.scalar(LOWEST),
  ]);
  const axes = spatial.map((__, i) => i + 2);
  const strides = spatial.map((__, i) => placeCount(spatial.slice(i + 1)));
  let offset = to.scalar(0, 'int32');
  for (const tap of placesOf(window.kernel).toReversed()) {
    const starts = tap.map((position, i) => position * window.dilations[i]!);
    const ends = starts.map((start, i) => start + (places[i]! - 1) * window.strides[i]! + 1);
    const bounds = [starts, ends, axes, window.strides].map((each) => to.integers(...each));
    const isLargest = to.node('Equal', [to.node('Slice', [padded, ...bounds]), y]);
    const distance = starts.reduce((sum, start, i) => sum + (start - window.padsBegin[i]!) * strides[i]!, 0);
    offset = to.node('Where', [isLargest, to.scalar(distance, 'int32'), offset]);
  }
  const steps = [
    placeCount(shape.slice(1)),
    placeCount(spatial),
    ...strides.map((stride, i) => stride * window.strides[i]!),
  ];
  const extents = [shape[0]!, shape[1]!, ...places];
  const flat = extents.reduce((sum, extent, axis) => {
    const data = Int32Array.from({ length: extent }, (__, k) => k * steps[axis]!);
    const along = to.constant({ dtype: 'int32', shape: extents.map((__, i) => (i === axis ? extent : 1)), data });
    return to.node('Add', [sum, along]);
  }, offset);
  to.node('Cast', [flat], { to: { type: 'int', value: dtypeCode('int64') } }, indices);
  return true;
}

function windowOf({ attributes }: OnnxNode, rank: number): Window {
  const list = (name: string, length: number, otherwise: number): readonly number[] => {
    const attribute = attributes[name];
    return attribute?.type === 'ints' ? attribute.value : Array.from({ length }, () => otherwise);
  };
  const pads = list('pads', 2 * rank, 0);
  return {
    kernel: list('kernel_shape', rank, 1),
    strides: list('strides', rank, 1),
    dilations: list('dilations', rank, 1),
    padsBegin: pads.slice(0, rank),
    padsEnd: pads.slice(rank),
  };
}

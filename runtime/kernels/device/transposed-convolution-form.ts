import type { OnnxNode } from '../../../soap/onnx/model.ts';
import { intAttribute, intsAttribute } from '../onnxruntime/attributes.ts';
import type { Rewriter } from './rewriter.ts';

/**
 * Writes a transposed convolution as a convolution: of its image with a stride less one zeros behind each element, by its kernel mirrored, inputs
 * and outputs changed over.
 */
export function writeTransposedConvolution(node: OnnxNode, to: Rewriter): boolean {
  const [x = '', weight = '', ...bias] = node.inputs;
  const [samples, channels, ...extents] = to.shapeOf(x);
  const [, perGroup, ...kernel] = to.shapeOf(weight);
  const axes = extents.map((_, axis) => axis);
  const [ones, zeros] = [1, 0].map((value) => axes.map(() => value));
  const strides = intsAttribute(node, 'strides', ones!);
  const dilations = intsAttribute(node, 'dilations', ones!);
  const pads = intsAttribute(node, 'pads', [...zeros!, ...zeros!]);
  const behind = intsAttribute(node, 'output_padding', zeros!);
  const groups = intAttribute(node, 'group', 1);
  const reach = axes.map((axis) => dilations[axis]! * (kernel[axis]! - 1));
  const begin = axes.map((axis) => reach[axis]! - pads[axis]!);
  const end = axes.map((axis) => reach[axis]! - pads[axes.length + axis]! + behind[axis]! - (strides[axis]! - 1));
  const image = { value: x, shape: [samples!, channels!, ...extents] };
  const spread = cut(spreadApart(image, strides, to), [begin, end], to);
  const mirrored = mirror(weight, axes, to);
  const [inputs, outputs] = [channels! / groups, perGroup!];
  const grouped = to.node('Reshape', [mirrored, to.integers(groups, inputs, outputs, ...kernel)]);
  const perm = { type: 'ints', value: [0, 2, 1, ...axes.map((axis) => axis + 3)] } as const;
  const turned = to.node('Transpose', [grouped], { perm });
  const kernels = to.node('Reshape', [turned, to.integers(groups * outputs, inputs, ...kernel)]);
  const attributes = {
    kernel_shape: { type: 'ints', value: kernel },
    dilations: { type: 'ints', value: dilations },
    pads: { type: 'ints', value: [...begin, ...end].map((pad) => Math.max(0, pad)) },
    group: { type: 'int', value: groups },
  } as const;
  to.node('Conv', [spread, kernels, ...bias], attributes, node.outputs[0]);
  return true;
}

/** An image [N, C, ...] that is known by its shape. */
interface Image {
  readonly value: string;
  readonly shape: readonly number[];
}

function spreadApart({ value, shape }: Image, strides: readonly number[], to: Rewriter): Image {
  if (strides.every((stride) => stride === 1)) return { value, shape };
  const [samples, channels, ...extents] = shape;
  const apart = to.node('Reshape', [
    value,
    to.integers(samples!, channels!, ...extents.flatMap((extent) => [extent, 1])),
  ]);
  const behind = [0, 0, ...strides.flatMap((stride) => [0, stride - 1])];
  const pads = to.integers(...behind.map(() => 0), ...behind);
  const spread = [samples!, channels!, ...extents.map((extent, axis) => extent * strides[axis]!)];
  return {
    value: to.node('Reshape', [to.node('Pad', [apart, pads, to.scalar(0)]), to.integers(...spread)]),
    shape: spread,
  };
}

/** Takes as much off either end as its pads are less than 0. */
function cut({ value, shape }: Image, pads: readonly [begin: number[], end: number[]], to: Rewriter): string {
  if (pads.flat().every((pad) => pad >= 0)) return value;
  const [begin, end] = pads;
  const starts = begin.map((pad) => Math.max(0, -pad));
  const ends = end.map((pad, axis) => shape[axis + 2]! + Math.min(0, pad));
  const bounds = [starts, ends, end.map((_, axis) => axis + 2)].map((values) => to.integers(...values));
  return to.node('Slice', [value, ...bounds]);
}

function mirror(weight: string, axes: readonly number[], to: Rewriter): string {
  const bounds = [axes.map(() => -1), axes.map(() => -(2 ** 31)), axes.map((axis) => axis + 2), axes.map(() => -1)];
  return to.node('Slice', [weight, ...bounds.map((values) => to.integers(...values))]);
}

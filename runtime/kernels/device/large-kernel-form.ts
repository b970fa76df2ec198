import { ELEMENT_BYTES } from '../../../soap/onnx/element-types.ts';
import type { OnnxNode } from '../../../soap/onnx/model.ts';
import { intsAttribute } from '../onnxruntime/attributes.ts';
import type { Rewriter } from './rewriter.ts';

/** Places of a kernel from which on a product over them is long enough to pay. */
const MIN_PLACES = 256;

/** What places of the result that one product computes may meet. */
const MOST_JOINED_BYTES = 64 * 2 ** 20;

/**
 * Writes a convolution whose kernel has more places than its result, as gradients of weights have (soap/ops/conv-weight-gradient.ts),
 * as matrix products, which GPUs are fast at: one for each channel that is summed over, of what places of the result meet of it, slices of
 * the image, by the kernel there; a product that sums over all of them would keep few of a GPU's processors busy. Returns false for other
 * convolutions, and for those with a bias.
 * @param mostBytes what places of the result that one node computes may meet
 */
export function writeLargeKernelConvolution(
  node: OnnxNode,
  to: Rewriter,
  mostBytes: number = MOST_JOINED_BYTES,
): boolean {
  const [image = '', kernel = '', bias = ''] = node.inputs;
  const [filters, perGroup, ...window] = to.shapeOf(kernel);
  const [images, channels] = to.shapeOf(image);
  const [, , ...extents] = to.shapeOf(node.outputs[0]!);
  const length = product(window);
  if (bias !== '' || length < MIN_PLACES || length <= product(extents)) return false;
  const groups = channels! / perGroup!;
  const perImage = filters! / groups;
  const factor = factorOf(kernel, { groups, perGroup: perGroup!, perImage, length }, to);
  const met = metBy(node, to).map((slice) => to.node('Reshape', [slice, to.integers(channels!, images!, length)]));
  const together = Math.floor(mostBytes / (channels! * images! * length * ELEMENT_BYTES.float32));
  const products = chunksOf(met, Math.max(1, together)).map((some) => to.node('MatMul', [joined(some, to), factor]));
  const apart = to.integers(groups, perGroup!, met.length, images!, perImage);
  const summed = to.node('ReduceSum', [to.node('Reshape', [joined(products, to), apart]), to.integers(1)], {
    keepdims: { type: 'int', value: 0 },
  });
  const ordered = to.node('Transpose', [summed], { perm: { type: 'ints', value: [2, 0, 3, 1] } });
  to.node('Reshape', [ordered, to.integers(images!, filters!, ...extents)], {}, node.outputs[0]);
  return true;
}

/** What a kernel [groups * perImage, perGroup, ...length] consists of. */
interface KernelParts {
  readonly groups: number;
  readonly perGroup: number;
  readonly perImage: number;
  readonly length: number;
}

/** The kernel as [groups * perGroup, length, perImage]. */
function factorOf(kernel: string, { groups, perGroup, perImage, length }: KernelParts, to: Rewriter): string {
  const apart = to.node('Reshape', [kernel, to.integers(groups, perImage, perGroup, length)]);
  const turned = to.node('Transpose', [apart], { perm: { type: 'ints', value: [0, 2, 3, 1] } });
  return to.node('Reshape', [turned, to.integers(groups * perGroup, length, perImage)]);
}

/** What each place of the result meets, in order: [channels, images, ...places of the kernel]. */
function metBy(node: OnnxNode, to: Rewriter): string[] {
  const [image = '', kernel = ''] = node.inputs;
  const window = to.shapeOf(kernel).slice(2);
  const axes = window.map((_, axis) => axis + 2);
  const ones = window.map(() => 1);
  const [strides, dilations] = ['strides', 'dilations'].map((name) => intsAttribute(node, name, ones));
  const pads = intsAttribute(
    node,
    'pads',
    [...window, ...window].map(() => 0),
  );
  const turned = to.node('Transpose', [padded(image, pads, to)], {
    perm: { type: 'ints', value: [1, 0, ...axes] },
  });
  return placesOf(to.shapeOf(node.outputs[0]!).slice(2)).map((place) => {
    const starts = place.map((at, axis) => at * strides![axis]!);
    const ends = starts.map((start, axis) => start + (window[axis]! - 1) * dilations![axis]! + 1);
    return to.node('Slice', [turned, ...[starts, ends, axes, dilations!].map((values) => to.integers(...values))]);
  });
}

/** An image with zeros around it. */
function padded(image: string, pads: readonly number[], to: Rewriter): string {
  if (pads.every((pad) => pad === 0)) return image;
  const [begin, end] = [pads.slice(0, pads.length / 2), pads.slice(pads.length / 2)];
  return to.node('Pad', [image, to.integers(0, 0, ...begin, 0, 0, ...end), to.scalar(0)]);
}

/** All places of some extents, row-major. */
function placesOf(extents: readonly number[]): number[][] {
  return extents.reduce<number[][]>(
    (places, extent) => places.flatMap((place) => Array.from({ length: extent }, (_, at) => [...place, at])),
    [[]],
  );
}

/** Values beside each other along the second of three axes. */
function joined(values: readonly string[], to: Rewriter): string {
  return values.length === 1 ? values[0]! : to.node('Concat', values, { axis: { type: 'int', value: 1 } });
}

function chunksOf<T>(values: readonly T[], size: number): T[][] {
  const count = Math.ceil(values.length / size);
  return Array.from({ length: count }, (_, i) => values.slice(i * size, (i + 1) * size));
}

function product(values: readonly number[]): number {
  return values.reduce((a, b) => a * b, 1);
}

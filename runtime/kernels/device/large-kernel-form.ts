import type { OnnxNode } from '../../../soap/onnx/model.ts';
import { intsAttribute } from '../onnxruntime/attributes.ts';
import { joinedProducts, MOST_JOINED_BYTES } from './joined-products.ts';
import { placeCount, placesOf } from './places.ts';
import type { Rewriter } from './rewriter.ts';

/** Places of a kernel from which on a product over them is long enough to pay, but for kernels of single channels: those have no other. */
const MIN_PLACES = 256;

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
  const length = placeCount(window);
  const groups = channels! / perGroup!;
  const perImage = filters! / groups;
  const least = perGroup === 1 && perImage === 1 ? 0 : MIN_PLACES;
  if (bias !== '' || length < least || length <= placeCount(extents)) return false;
  const factor = factorOf(kernel, { groups, perGroup: perGroup!, perImage, length }, to);
  const met = metBy(node, to).map((slice) => to.node('Reshape', [slice, to.integers(channels!, images!, length)]));
  const factors = { values: met, elements: channels! * images! * length, mostBytes, axis: 1 } as const;
  const products = joinedProducts(factors, (some) => to.node('MatMul', [some, factor]), to);
  const apart = to.integers(groups, perGroup!, met.length, images!, perImage);
  const summed = to.node('ReduceSum', [to.node('Reshape', [products, apart]), to.integers(1)], {
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

import type { OnnxNode } from '../../../soap/onnx/model.ts';
import { intAttribute, intsAttribute } from '../onnxruntime/attributes.ts';
import { joinedProducts, MOST_JOINED_BYTES } from './joined-products.ts';
import type { Rewriter } from './rewriter.ts';
import { greatestCommonDivisor } from '../../../soap/region/divisors.ts';

/**
 * Writes a convolution over samples (soap/ops/sample-convolution.ts), which processors are fast at, as matrix products, which GPUs are: its
 * kernel, as large as an image, is one of the factors as it lies. What a tap meets are columns of the image one dilation apart; what several
 * taps meet is the other factor. Returns false for other convolutions: of several images, with pads, strides or a bias, or of more neighbours
 * than taps.
 * @param mostBytes what taps that are multiplied together may meet
 */
export function writeSampleConvolution(node: OnnxNode, to: Rewriter, mostBytes: number = MOST_JOINED_BYTES): boolean {
  const [image = '', kernel = '', bias = ''] = node.inputs;
  const [batch, samples, height, width] = to.shapeOf(image);
  const [filters, perGroup, rows, columns, ...others] = to.shapeOf(kernel);
  if (batch !== 1 || columns === undefined || others.length > 0 || bias !== '') return false;
  if (
    [...intsAttribute(node, 'pads', []), ...intsAttribute(node, 'strides', []).map((s) => s - 1)].some((n) => n !== 0)
  )
    return false;
  const [down, across] = intsAttribute(node, 'dilations', [1, 1]);
  const result = [height! - (rows! - 1) * down!, width! - (columns - 1) * across!] as const;
  const neighbours = greatestCommonDivisor(across!, result[1]);
  const taps = [result[0], result[1] / neighbours] as const;
  if (neighbours === 1 || width! % neighbours !== 0 || taps[0] * taps[1] > rows! * columns) return false;
  const groups = intAttribute(node, 'group', 1);
  const terms = perGroup! * rows! * columns;
  const factor = to.node('Reshape', [kernel, to.integers(groups, filters! / groups, terms)]);
  const apart = to.node('Reshape', [image, to.integers(samples!, height!, width! / neighbours, neighbours)]);
  const steps = [down!, across! / neighbours];
  const met = Array.from({ length: taps[0] * taps[1] }, (_, tap) => {
    const starts = [Math.floor(tap / taps[1]), tap % taps[1]];
    const ends = starts.map((start, axis) => start + ([rows!, columns][axis]! - 1) * steps[axis]! + 1);
    const bounds = [starts, ends, [1, 2], steps].map((values) => to.integers(...values));
    return to.node('Reshape', [to.node('Slice', [apart, ...bounds]), to.integers(groups, terms, neighbours)]);
  });
  const factors = { values: met, elements: groups * terms * neighbours, mostBytes, axis: 2 } as const;
  const products = joinedProducts(factors, (some) => to.node('MatMul', [factor, some]), to);
  to.node('Reshape', [products, to.integers(1, filters!, ...result)], {}, node.outputs[0]);
  return true;
}

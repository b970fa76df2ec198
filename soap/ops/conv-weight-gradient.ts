import type { Emitter, Value } from './emitter.ts';
import { int, ints } from './emitter.ts';
import type { Meeting } from './meeting.ts';
import { convolutionOverSamples, suitsSampleConvolution, WHOLE_BLOCKS } from './sample-convolution.ts';
import { spatialAxes } from './spatial.ts';
import type { Window } from './window.ts';
import { tapCount } from './window.ts';

/** Kernels of more taps than this take the convolution form. */
const MAX_TAPS = 49;

/** Places from which on a product per sample is long enough to pay. Source: measured, docs/performance/kernels.md. */
const MIN_PLACES = 256;

/**
 * Emits the gradient of the weight of a convolution: sums over samples and places of x at each tap times the gradient at
 * the place. A transposed convolution has the same one with input and output gradient changing roles.
 */
export function convWeightGradient(emit: Emitter, meeting: Meeting): Value {
  const taps = tapCount(meeting.window);
  if (taps > MAX_TAPS && meeting.groups === 1) return byConvolution(emit, meeting);
  if (suitsSampleConvolution(meeting)) return convolutionOverSamples(emit, meeting);
  if (isDepthwise(meeting)) return byImages(emit, meeting);
  const count = meeting.places.shape.slice(2).reduce((a, b) => a * b, 1);
  return taps === 1 && count >= MIN_PLACES ? bySamples(emit, meeting) : byTaps(emit, meeting);
}

/**
 * As a convolution of x by the places, samples and channels swapped, strides and dilations swapped. Two halves of the samples are
 * groups of it: the library shares the images out, here input channels, and three of them would keep two threads busy for the time of four.
 */
function byConvolution(emit: Emitter, { window, pads, x, places }: Meeting): Value {
  const swapped = [1, 0, ...spatialAxes(x.shape)];
  const [samples, outChannels] = places.shape;
  const halves = halvesOf(samples!);
  const input = emit.transpose(x, swapped);
  const kernel = channelsFirst(emit, places, halves);
  const channels = input.shape[0]!;
  const product = emit.node('Conv', [input, kernel], [channels, halves * outChannels!, ...window.kernel], {
    group: int(halves),
    kernel_shape: ints(kernel.shape.slice(2)),
    strides: ints(window.dilations),
    dilations: ints(window.strides),
    pads: ints(pads),
  });
  const apart = emit.reshape(product, [channels, halves, outChannels!, ...window.kernel]);
  return emit.transpose(emit.reduceSum(apart, [1]), swapped);
}

/** Whether each channel has a kernel of its own, and those of all samples together are whole blocks. */
function isDepthwise({ window, groups, x, places }: Meeting): boolean {
  const [samples, channels] = x.shape;
  return (
    groups === channels &&
    places.shape[1] === channels &&
    tapCount(window) > 1 &&
    (samples! * channels) % WHOLE_BLOCKS === 0
  );
}

/**
 * Of kernels for each channel: the channels of all samples are those of one image, whose kernels are their gradients at the places. Sums over
 * samples then. The padding is no part of the convolution, as in {@link convolutionOverSamples}.
 */
function byImages(emit: Emitter, { window, pads, x, places }: Meeting): Value {
  const [samples, channels, ...extents] = places.shape;
  const images = samples! * channels!;
  const spread = padded(emit, x, pads);
  const kernel = emit.reshape(places, [images, 1, ...extents]);
  const image = emit.reshape(spread, [1, images, ...spread.shape.slice(2)]);
  const product = emit.node('Conv', [image, kernel], [1, images, ...window.kernel], {
    group: int(images),
    kernel_shape: ints(extents),
    strides: ints(window.dilations),
    dilations: ints(window.strides),
    pads: ints(pads.map(() => 0)),
  });
  const apart = emit.reshape(product, [samples!, channels!, ...window.kernel]);
  return emit.reshape(emit.reduceSum(apart, [0]), [channels!, 1, ...window.kernel]);
}

/** Into how many parts of equal size samples are cut for two threads. */
function halvesOf(samples: number): number {
  return samples % 2 === 0 ? 2 : 1;
}

/**
 * As one matrix product per tap: what the tap meets, over all samples and places, by the gradients there. With channels
 * outermost, samples and places are one long axis to sum over, however few the places are. Two halves of the samples have a product
 * each: the library packs the second operand of a product anew in each thread that takes part.
 */
function byTaps(emit: Emitter, { window, pads, groups, x, places }: Meeting): Value {
  const [samples, outChannels, ...extents] = places.shape;
  const halves = halvesOf(samples!);
  const length = extents.reduce((a, b) => a * b, samples! / halves);
  const [perGroup, channels] = [outChannels! / groups, x.shape[1]! / groups];
  const rows = emit.reshape(channelsFirst(emit, places, halves), [halves, groups, perGroup, length]);
  const spread = channelsFirst(emit, padded(emit, x, pads), halves);
  const products = tapsOf(emit, window, spread, extents).map((tap) =>
    productOf(emit, rows, emit.reshape(tap, [halves, groups, channels, length])),
  );
  const apart = products.map((product) => emit.reshape(product, [halves, outChannels!, channels, 1]));
  const joined = emit.node('Concat', apart, [halves, outChannels!, channels, apart.length], { axis: int(3) });
  return emit.reshape(emit.reduceSum(joined, [0]), [outChannels!, channels, ...window.kernel]);
}

/** Images [N, C, ...] as [parts * C, N / parts, ...], samples in so many parts. */
function channelsFirst(emit: Emitter, images: Value, parts: number): Value {
  const [samples, channels, ...extents] = images.shape;
  const apart = emit.reshape(images, [parts, samples! / parts, channels!, ...extents]);
  const swapped = emit.transpose(apart, [0, 2, 1, ...extents.map((_, i) => 3 + i)]);
  return emit.reshape(swapped, [parts * channels!, samples! / parts, ...extents]);
}

/** As one matrix product per sample, then the sum over samples: of kernels of one tap, over many places. */
function bySamples(emit: Emitter, { window, pads, groups, x, places }: Meeting): Value {
  const [samples, outChannels, ...extents] = places.shape;
  const count = extents.reduce((a, b) => a * b, 1);
  const [perGroup, channels] = [outChannels! / groups, x.shape[1]! / groups];
  const [tap] = tapsOf(emit, window, padded(emit, x, pads), extents);
  const seen = emit.reshape(tap!, [samples!, groups, channels, count]);
  const flat = emit.reshape(places, [samples!, groups, perGroup, count]);
  // The operand with more rows goes first: the other one is what the library packs anew for each product.
  const swap = channels > perGroup;
  const sum = emit.reduceSum(swap ? productOf(emit, seen, flat) : productOf(emit, flat, seen), [0]);
  return emit.reshape(swap ? emit.transpose(sum, [0, 2, 1]) : sum, [outChannels!, channels, ...window.kernel]);
}

/** a b^T for each of the first axes. */
function productOf(emit: Emitter, a: Value, b: Value): Value {
  const shape = [...a.shape.slice(0, -1), b.shape.at(-2)!];
  return emit.node('FusedMatMul', [a, b], shape, { transB: int(1) }, { domain: 'com.microsoft' });
}

function padded(emit: Emitter, x: Value, pads: readonly number[]): Value {
  if (pads.every((pad) => pad === 0)) return x;
  const rank = pads.length / 2;
  const [begin, end] = [pads.slice(0, rank), pads.slice(rank)];
  const shape = x.shape.map((extent, axis) => (axis < 2 ? extent : extent + begin[axis - 2]! + end[axis - 2]!));
  return emit.node('Pad', [x, emit.ints([0, 0, ...begin, 0, 0, ...end]), emit.scalar(0)], shape);
}

/** Per tap, row-major, the elements of x [., ., ...] that it meets at each place. */
function tapsOf(emit: Emitter, window: Window, x: Value, extents: readonly number[]): Value[] {
  const shape = [...x.shape.slice(0, 2), ...extents];
  return tapStarts(window).map((starts) => {
    const ends = starts.map((start, i) => start + (extents[i]! - 1) * window.strides[i]! + 1);
    if (String(shape) === String(x.shape)) return x;
    const bounds = [starts, ends, spatialAxes(x.shape), window.strides].map((values) => emit.ints(values));
    return emit.node('Slice', [x, ...bounds], shape);
  });
}

/** Where each tap of the window at the first place falls, row-major. */
function tapStarts({ kernel, dilations }: Window): number[][] {
  return kernel.reduce<number[][]>(
    (starts, taps, i) =>
      starts.flatMap((start) => Array.from({ length: taps }, (_, tap) => [...start, tap * dilations[i]!])),
    [[]],
  );
}

import type { Emitter, Value } from './emitter.ts';
import { int, ints } from './emitter.ts';
import type { Meeting } from './meeting.ts';
import { tapCount } from './window.ts';

/** Channels, or samples in their place, that are whole blocks of any size that ONNX Runtime has. Source: MLAS, MlasNchwcGetBlockSize. */
export const WHOLE_BLOCKS = 16;

/** Samples of a group: fewer than a block of any size, which the library's convolutions read as they lie. */
const MOST_SAMPLES = 7;

/** Places up to which the sum of groups costs more than whole blocks of samples do. Source: measured, docs/performance/kernels.md. */
const FEW_PLACES = 256;

/**
 * Places up to which the form was measured to pay. The gradients of all places, for 64 output channels, are read again for every few
 * elements of the result, from the cache.
 */
const MOST_PLACES = 112 * 112;

/** Whether {@link convolutionOverSamples} pays: the result has to be whole blocks of channels, and the places not too many. */
export function suitsSampleConvolution({ window, groups, places }: Meeting): boolean {
  const [samples, outChannels, ...extents] = places.shape;
  const count = extents.reduce((a, b) => a * b, 1);
  return (
    extents.length === 2 &&
    groups === 1 &&
    tapCount(window) > 1 &&
    window.dilations.every((dilation) => dilation === 1) &&
    outChannels! % WHOLE_BLOCKS === 0 &&
    count <= MOST_PLACES &&
    (samples === 1 || samplesPerGroup(samples!, count) > 1)
  );
}

/**
 * Emits the gradient of the weight of a convolution as a convolution itself, with samples for input channels and the gradients at the
 * places for the weight: a kernel as large as an output image. Channels of x lie beside each other along the width, so that what a
 * tap meets in all of them are neighbours, and the result is kernel rows high and kernel columns times channels wide: ONNX Runtime's convolutions
 * over blocks of channels are at their best where many places are neighbours. Groups of samples add up at the end.
 * @param meeting of two spatial axes, one group and no dilations
 */
export function convolutionOverSamples(emit: Emitter, { window, pads, x, places }: Meeting): Value {
  const [samples, outChannels, rows, columns] = places.shape;
  const channels = x.shape[1]!;
  const perGroup = samplesPerGroup(samples!, rows! * columns!);
  const groups = samples! / perGroup;
  const [height, width] = window.kernel;
  const gradients = emit.reshape(places, [groups, perGroup, outChannels!, rows! * columns!]);
  const kernel = emit.reshape(emit.transpose(gradients, [0, 2, 1, 3]), [
    groups * outChannels!,
    perGroup,
    rows!,
    columns!,
  ]);
  const product = emit.node(
    'Conv',
    [besideEachOther(emit, x, pads), kernel],
    [1, groups * outChannels!, height!, width! * channels],
    {
      group: int(groups),
      kernel_shape: ints([rows!, columns!]),
      strides: ints([1, 1]),
      dilations: ints([window.strides[0]!, window.strides[1]! * channels]),
      pads: ints([0, 0, 0, 0]),
    },
  );
  const taps = height! * width!;
  const apart = emit.reshape(product, [groups, outChannels!, taps, channels]);
  const sum = groups === 1 ? emit.reshape(apart, [outChannels!, taps, channels]) : emit.reduceSum(apart, [0]);
  return emit.reshape(emit.transpose(sum, [0, 2, 1]), [outChannels!, channels, ...window.kernel]);
}

/**
 * Images [N, C, height, width], padded, as one of N channels [1, N, height, width * C]. They are padded with an axis less: ONNX Runtime
 * would make a Pad that its Conv reads part of it, which computes places that meet padding one by one.
 */
function besideEachOther(emit: Emitter, x: Value, pads: readonly number[]): Value {
  const [samples, channels, height, width] = x.shape;
  const [top, left, bottom, right] = [pads[0]!, pads[1]! * channels!, pads[2]!, pads[3]! * channels!];
  const last = emit.transpose(emit.reshape(x, [samples!, channels!, height! * width!]), [0, 2, 1]);
  const rows = emit.reshape(last, [samples!, height!, width! * channels!]);
  const shape = [samples!, top + height! + bottom, left + width! * channels! + right];
  const around = emit.ints([0, top, left, 0, bottom, right]);
  const padded = pads.every((pad) => pad === 0) ? rows : emit.node('Pad', [rows, around, emit.scalar(0)], shape);
  return emit.reshape(padded, [1, ...shape]);
}

/** Whole blocks of all samples where there are few places, else the most up to {@link MOST_SAMPLES} that samples consist of groups of. */
function samplesPerGroup(samples: number, places: number): number {
  if (samples % WHOLE_BLOCKS === 0 && places <= FEW_PLACES) return samples;
  let count = MOST_SAMPLES;
  while (samples % count !== 0) count -= 1;
  return count;
}

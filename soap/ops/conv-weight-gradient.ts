import type { Emitter, Value } from './emitter.ts';
import { int, ints } from './emitter.ts';
import { spatialAxes } from './spatial.ts';
import type { Window } from './window.ts';
import { tapCount } from './window.ts';

/** Kernels of more taps than this take the convolution form: the unfolded input would be that many times the input. */
const MAX_UNFOLDED_TAPS = 49;

/** What a convolution's weight [O, C / groups, ...kernel] meets: windows over x [N, C, ...], seen by places [N, O, ...]. */
interface Meeting {
  readonly window: Window;
  /** Around x: [begin..., end...]. */
  readonly pads: readonly number[];
  readonly groups: number;
  readonly x: Value;
  readonly places: Value;
}

/**
 * Emits the gradient of the weight of a convolution: sums over samples and places of x at each tap times the gradient at
 * the place. A transposed convolution has the same one with input and output gradient changing roles.
 */
export function convWeightGradient(emit: Emitter, meeting: Meeting): Value {
  return tapCount(meeting.window) > MAX_UNFOLDED_TAPS && meeting.groups === 1
    ? byConvolution(emit, meeting)
    : byUnfolding(emit, meeting);
}

/** As a convolution of x by the places, samples and channels swapped, strides and dilations swapped. */
function byConvolution(emit: Emitter, { window, pads, x, places }: Meeting): Value {
  const swapped = [1, 0, ...spatialAxes(x.shape)];
  const [input, kernel] = [emit.transpose(x, swapped), emit.transpose(places, swapped)];
  const product = emit.node('Conv', [input, kernel], [input.shape[0]!, kernel.shape[0]!, ...window.kernel], {
    kernel_shape: ints(kernel.shape.slice(2)),
    strides: ints(window.dilations),
    dilations: ints(window.strides),
    pads: ints(pads),
  });
  return emit.transpose(product, swapped);
}

/** As one matrix product per sample over the unfolded input (im2col), then the sum over samples. */
function byUnfolding(emit: Emitter, { window, pads, groups, x, places }: Meeting): Value {
  const [samples, outChannels, ...extents] = places.shape;
  const count = extents.reduce((a, b) => a * b, 1);
  const outPerGroup = outChannels! / groups;
  const rows = rowsByGroup(emit, unfold(emit, window, padded(emit, x, pads), extents), window, groups);
  const flat = emit.reshape(places, [samples!, groups, outPerGroup, count]);
  const shape = [samples!, groups, outPerGroup, rows.shape[2]!];
  const product = emit.node('FusedMatMul', [flat, rows], shape, { transB: int(1) }, { domain: 'com.microsoft' });
  const channels = x.shape[1]! / groups;
  const byTap = emit.reshape(emit.reduceSum(product, [0]), [outChannels!, ...window.kernel, channels]);
  const last = byTap.shape.length - 1;
  return emit.transpose(byTap, [0, last, ...window.kernel.map((_, i) => i + 1)]);
}

/** [N, taps * C, ...] -> [N, groups, taps * C / groups, places]. */
function rowsByGroup(emit: Emitter, unfolded: Value, window: Window, groups: number): Value {
  const [samples, rows, ...extents] = unfolded.shape;
  const count = extents.reduce((a, b) => a * b, 1);
  const taps = tapCount(window);
  const shape = [samples!, groups, rows! / groups, count];
  if (groups === 1) return emit.reshape(unfolded, shape);
  const byTap = emit.reshape(unfolded, [samples!, taps, groups, rows! / taps / groups, count]);
  return emit.reshape(emit.transpose(byTap, [0, 2, 1, 3, 4]), shape);
}

function padded(emit: Emitter, x: Value, pads: readonly number[]): Value {
  if (pads.every((pad) => pad === 0)) return x;
  const rank = pads.length / 2;
  const [begin, end] = [pads.slice(0, rank), pads.slice(rank)];
  const shape = x.shape.map((extent, axis) => (axis < 2 ? extent : extent + begin[axis - 2]! + end[axis - 2]!));
  return emit.node('Pad', [x, emit.ints([0, 0, ...begin, 0, 0, ...end]), emit.scalar(0)], shape);
}

/** [N, taps * C, ...]: per tap, the elements that it meets at each place; taps outermost. */
function unfold(emit: Emitter, window: Window, x: Value, extents: readonly number[]): Value {
  const shape = [...x.shape.slice(0, 2), ...extents];
  const taps = tapStarts(window).map((starts) => {
    const ends = starts.map((start, i) => start + (extents[i]! - 1) * window.strides[i]! + 1);
    const bounds = [starts, ends, spatialAxes(x.shape), window.strides].map((values) => emit.ints(values));
    return emit.node('Slice', [x, ...bounds], shape);
  });
  if (taps.length === 1) return taps[0]!;
  return emit.node('Concat', taps, [shape[0]!, taps.length * shape[1]!, ...extents], { axis: int(1) });
}

/** Where each tap of the window at the first place falls, row-major. */
function tapStarts({ kernel, dilations }: Window): number[][] {
  return kernel.reduce<number[][]>(
    (starts, taps, i) =>
      starts.flatMap((start) => Array.from({ length: taps }, (_, tap) => [...start, tap * dilations[i]!])),
    [[]],
  );
}

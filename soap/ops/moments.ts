import { regionShape } from '../region/region.ts';
import type { Emitter, Value } from './emitter.ts';
import { float } from './emitter.ts';
import type { Part, Statistics } from './op.ts';
import { numberAttribute } from './op.ts';
import { dots, halves, joined, reduceMean } from './reductions.ts';
import { SPATIAL_NAMES } from './spatial.ts';

const [X, GAMMA, BETA] = [0, 1, 2];

/**
 * Normalization of x [N, C, ...] to y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, gamma and beta [C]. The
 * elements that share a mean and a variance (of the population) are those of a group of channels; either of each sample, or
 * of all samples together. Parts of equal size tell each other their moments; their means and variances combine by Chan's
 * rule. Source of the rule: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
 * variances", 1979.
 */
export interface Normalization {
  /** Whether each sample has moments of its own. */
  readonly perSample: boolean;
  /** Groups of channels of a part. */
  readonly groups: (part: Part) => number;
}

/** A part of x as [samples, groups, channels of a group, elements of a channel]. */
interface Layout {
  readonly samples: number;
  readonly groups: number;
  readonly channels: number;
  readonly elements: number;
  /** Samples with moments of their own: all, or 1. */
  readonly rows: number;
}

/** What parts that share moments tell each other: a mean and a variance, then two sums of gradients. */
export function momentStatistics(normalization: Normalization): Statistics {
  return {
    over: normalization.perSample ? SPATIAL_NAMES : ['sample', ...SPATIAL_NAMES],
    forwardSize(part) {
      const { rows, groups } = layoutOf(normalization, part);
      return 2 * rows * groups;
    },
    backwardSize(part) {
      const { rows, groups, channels } = layoutOf(normalization, part);
      return 2 * rows * groups * channels;
    },
    forward: (emit, part) => emitMoments(emit, layoutOf(normalization, part)),
    backward: (emit, part) => emitGradientSums(emit, layoutOf(normalization, part), part),
  };
}

/** Emits y from the gathered moments, which it saves for the backward pass. */
export function normalize(normalization: Normalization, emit: Emitter, part: Part): void {
  const [mean, variance] = combinedMoments(emit, layoutOf(normalization, part));
  emit.save(0, mean);
  emit.save(1, variance);
  normalizeBy(normalization, emit, part, [mean, variance]);
}

/** Emits y from a mean and a variance. */
export function normalizeBy(
  normalization: Normalization,
  emit: Emitter,
  part: Part,
  [mean, variance]: readonly [Value, Value],
): void {
  const layout = layoutOf(normalization, part);
  const [gamma, beta] = [GAMMA, BETA].map((input) => byRow(emit, input, layout));
  emit.setOutput(0, affine(emit, layout, part, { scale: gamma!, shift: beta!, mean, variance }));
}

/** Emits the gradients of x, gamma and beta from the gathered sums. */
export function normalizeBackward(normalization: Normalization, emit: Emitter, part: Part): void {
  const layout = layoutOf(normalization, part);
  const gathered = emit.gathered();
  const parts = gathered.shape[0]!;
  const [ofDy, ofProduct] = halves(emit, emit.reduceSum(gathered, [0]), 0);
  // Every part of the group hands in an equal share of the sums, which all of them have.
  const { rows, groups, channels } = layout;
  for (const [input, sums] of [
    [GAMMA, ofProduct],
    [BETA, ofDy],
  ] as const) {
    if (!emit.wantsGradInput(input)) continue;
    const summed = emit.reduceSum(emit.reshape(sums, [rows, groups * channels]), [0]);
    const share = parts === 1 ? summed : emit.node('Mul', [summed, emit.scalar(1 / parts)], summed.shape);
    emit.setGradInput(input, emit.reshape(share, regionShape(part.inputs[input]!)));
  }
  if (emit.wantsGradInput(X)) emit.setGradInput(X, inputGradient(emit, layout, part, [ofDy, ofProduct], parts));
}

/** gamma / deviation * (dy - mean(gamma dy) / gamma - normalized * mean(gamma dy normalized) / gamma), means over the group. */
function inputGradient(
  emit: Emitter,
  layout: Layout,
  part: Part,
  [ofDy, ofProduct]: readonly [Value, Value],
  parts: number,
): Value {
  const { rows, groups, channels, elements, samples } = layout;
  const [mean, variance] = [emit.saved(0), emit.saved(1)];
  const count = (samples / rows) * channels * elements * parts;
  const gamma = byRow(emit, GAMMA, layout);
  const inverse = inverseDeviation(emit, variance, part);
  const groupMean = (sums: Value): Value => {
    const weighted = emit.node('Mul', [sums, gamma], gamma.shape);
    const total = emit.reduceSum(emit.reshape(weighted, [rows, groups, channels]), [2]);
    const scaled = emit.node('Mul', [total, emit.scalar(-1 / count)], total.shape);
    return byChannel(emit, emit.node('Mul', [scaled, inverse], total.shape), layout);
  };
  const correction = affine(emit, layout, part, {
    scale: groupMean(ofProduct),
    shift: groupMean(ofDy),
    mean,
    variance,
  });
  const dy = emit.gradOutput(0);
  const factor = emit.node('Mul', [gamma, byChannel(emit, inverse, layout)], gamma.shape);
  const rest = dy.shape.slice(2).map(() => 1);
  const scaled = emit.node('Mul', [dy, emit.reshape(factor, [rows, groups * channels, ...rest])], dy.shape);
  return emit.node('Add', [scaled, correction], dy.shape);
}

function layoutOf({ perSample, groups }: Normalization, part: Part): Layout {
  const [samples, channels, ...extents] = regionShape(part.output);
  const count = groups(part);
  return {
    samples: samples!,
    groups: count,
    channels: channels! / count,
    elements: extents.reduce((a, b) => a * b, 1),
    rows: perSample ? samples! : 1,
  };
}

/** Two passes over the input: sums of squares around a mean of zero would cancel. */
function emitMoments(emit: Emitter, { samples, groups, channels, elements, rows }: Layout): void {
  const length = channels * elements;
  const x = emit.reshape(emit.input(X), [samples, groups, length]);
  const average = (value: Value): Value => (rows === samples ? value : reduceMean(emit, value, 0, true));
  const mean = average(reduceMean(emit, x, 2, false));
  const centered = emit.node('Sub', [x, emit.reshape(mean, [rows, groups, 1])], x.shape);
  const squares = average(dots(emit, centered, centered));
  const variance = emit.node('Mul', [squares, emit.scalar(1 / length)], squares.shape);
  emit.setStatistics(joined(emit, mean, variance));
}

/** Sums of dy and of dy times the normalized input, by channel. */
function emitGradientSums(emit: Emitter, layout: Layout, part: Part): void {
  const { samples, groups, channels, elements, rows } = layout;
  const total = groups * channels;
  const dy = emit.reshape(emit.gradOutput(0), [samples, total, elements]);
  const x = emit.reshape(emit.input(X), dy.shape);
  const mean = emit.reshape(byChannel(emit, emit.saved(0), layout), [rows, total, 1]);
  const inverse = emit.reshape(byChannel(emit, inverseDeviation(emit, emit.saved(1), part), layout), [rows, total]);
  const sums = (value: Value): Value =>
    rows === samples ? value : emit.reshape(emit.reduceSum(value, [0]), [rows, total]);
  const product = sums(dots(emit, dy, emit.node('Sub', [x, mean], x.shape)));
  emit.setStatistics(joined(emit, sums(emit.reduceSum(dy, [2])), emit.node('Mul', [product, inverse], product.shape)));
}

/** Mean and variance [rows, groups] of what the parts have gathered. */
function combinedMoments(emit: Emitter, { rows, groups }: Layout): readonly [mean: Value, variance: Value] {
  const gathered = emit.gathered();
  const [means, variances] = halves(emit, gathered, 1);
  const shaped = (value: Value): Value => emit.reshape(value, [rows, groups]);
  if (gathered.shape[0] === 1) return [shaped(means), shaped(variances)];
  const mean = reduceMean(emit, means, 0, true);
  const apart = emit.node('Sub', [means, mean], means.shape);
  const squares = emit.node('Mul', [apart, apart], apart.shape);
  const variance = reduceMean(emit, emit.node('Add', [variances, squares], squares.shape), 0, false);
  return [shaped(mean), shaped(variance)];
}

/** What one pass over x does to it: scale * (x - mean) / deviation + shift. */
interface Affine {
  /** [rows * groups * channels], as `shift`. */
  readonly scale: Value;
  readonly shift: Value;
  /** [rows, groups], as `variance`. */
  readonly mean: Value;
  readonly variance: Value;
}

/** The affine map as a BatchNormalization by given moments, which ONNX Runtime runs in a single pass. */
function affine(emit: Emitter, layout: Layout, { signature }: Part, { scale, shift, mean, variance }: Affine): Value {
  const { samples, groups, channels, elements, rows } = layout;
  const x = emit.input(X);
  const moments = [mean, variance].map((value) => byChannel(emit, value, layout));
  // The WebGPU provider normalizes vectors [N, C] wrongly, and says nothing.
  const asItIs = rows === 1 && x.shape.length > 2;
  const flat = asItIs ? x : emit.reshape(x, [samples / rows, rows * groups * channels, elements]);
  const y = emit.node('BatchNormalization', [flat, scale, shift, ...moments], flat.shape, {
    epsilon: float(numberAttribute(signature.attributes, 'epsilon')),
  });
  return asItIs ? y : emit.reshape(y, x.shape);
}

/** An input that is a vector of channels, once for each row: [rows * groups * channels]. */
function byRow(emit: Emitter, input: number, { rows, groups, channels }: Layout): Value {
  const vector = emit.reshape(emit.input(input), [groups * channels]);
  if (rows === 1) return vector;
  const shape = [rows, groups * channels];
  return emit.reshape(emit.node('Expand', [vector, emit.ints(shape)], shape), [rows * groups * channels]);
}

/** [rows, groups], each once for every channel of its group: [rows * groups * channels]. */
function byChannel(emit: Emitter, value: Value, { rows, groups, channels }: Layout): Value {
  const flat = [rows * groups * channels];
  if (channels === 1) return emit.reshape(value, flat);
  const shape = [rows, groups, channels];
  const each = emit.node('Expand', [emit.reshape(value, [rows, groups, 1]), emit.ints(shape)], shape);
  return emit.reshape(each, flat);
}

function inverseDeviation(emit: Emitter, variance: Value, { signature }: Part): Value {
  const epsilon = emit.scalar(numberAttribute(signature.attributes, 'epsilon'));
  const deviation = emit.node('Sqrt', [emit.node('Add', [variance, epsilon], variance.shape)], variance.shape);
  return emit.node('Reciprocal', [deviation], variance.shape);
}

import {
  elementCount,
  broadcastShape,
  broadcastStrides,
  normalAxis,
  pick,
  positions,
  stridesOf,
} from '../../onnx/indexing.ts';
import type { OnnxTensor } from '../../onnx/model.ts';
import { flatPositions } from '../../onnx/nd-indices.ts';
import type { FoldScope, Folder } from './folder.ts';
import { folded, integerValues, intOf, listOf, numbersOf } from './folder.ts';

/** Nodes that move elements. */
export const LAYOUT: Readonly<Record<string, Folder>> = {
  Identity: ({ constant }) => constant(0),
  Reshape: (scope) => {
    const [value, target] = [scope.constant(0), integerValues(scope.constant(1))];
    if (value === undefined || target === undefined) return undefined;
    const copies = intOf(scope, 'allowzero', 0) === 0;
    const shape = target.map((extent, axis) => (extent === 0 && copies ? (value.shape[axis] ?? 0) : extent));
    const rest = value.data.length / elementCount(shape.filter((extent) => extent !== -1));
    return reshaped(
      value,
      shape.map((extent) => (extent === -1 ? rest : extent)),
    );
  },
  Flatten: (scope) => {
    const value = scope.constant(0);
    const axis = normalAxis(intOf(scope, 'axis', 1), (value?.shape.length ?? 0) + 1);
    if (value === undefined || axis === undefined) return undefined;
    return reshaped(value, [elementCount(value.shape.slice(0, axis)), elementCount(value.shape.slice(axis))]);
  },
  Squeeze: (scope) => {
    const value = scope.constant(0);
    if (value === undefined) return undefined;
    const axes = listOf(scope, 'axes', 1)?.map((axis) => normalAxis(axis, value.shape.length));
    return reshaped(
      value,
      value.shape.filter((extent, axis) => (axes === undefined ? extent !== 1 : !axes.includes(axis))),
    );
  },
  Unsqueeze: (scope) => {
    const [value, axes] = [scope.constant(0), listOf(scope, 'axes', 1)];
    if (value === undefined || axes === undefined) return undefined;
    const rank = value.shape.length + axes.length;
    const added = new Set(axes.map((axis) => normalAxis(axis, rank)));
    const kept = value.shape.values();
    return reshaped(
      value,
      Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (kept.next().value ?? 1))),
    );
  },
  Transpose: ({ node, constant }) => {
    const value = constant(0);
    const attribute = node.attributes['perm'];
    if (value === undefined) return undefined;
    const perm = attribute?.type === 'ints' ? attribute.value : [...value.shape.keys()].reverse();
    const strides = stridesOf(value.shape);
    return picked(
      value,
      perm.map((axis) => value.shape[axis]!),
      perm.map((axis) => strides[axis]!),
    );
  },
  Expand: ({ constant }) => {
    const [value, target] = [constant(0), integerValues(constant(1))];
    const shape = value && target && broadcastShape(value.shape, target);
    return shape && picked(value, shape, broadcastStrides(value.shape, shape));
  },
  Gather: (scope) => {
    const [value, indices] = [scope.constant(0), integerValues(scope.constant(1))];
    const axis = normalAxis(intOf(scope, 'axis', 0), value?.shape.length ?? 0);
    const values = numbersOf(value);
    if (value === undefined || values === undefined || indices === undefined || axis === undefined) return undefined;
    const extent = value.shape[axis]!;
    const rows = indices.map((index) => (index < 0 ? index + extent : index));
    if (rows.some((row) => row < 0 || row >= extent)) return undefined;
    const [outer, inner] = [elementCount(value.shape.slice(0, axis)), elementCount(value.shape.slice(axis + 1))];
    const at = Array.from({ length: outer }, (_, o) =>
      rows.flatMap((row) => Array.from({ length: inner }, (_, i) => (o * extent + row) * inner + i)),
    );
    const shape = [...value.shape.slice(0, axis), ...scope.constant(1)!.shape, ...value.shape.slice(axis + 1)];
    return folded(value.dtype, shape, pick(values, Int32Array.from(at.flat())));
  },
  GatherND: gatherNd,
  ScatterND: scatterNd,
  Concat: concat,
  Slice: slice,
  /** Keeps the upper or lower triangle of the last two axes: how causal masks are made. */
  Trilu: (scope) => {
    const [value, values] = [scope.constant(0), numbersOf(scope.constant(0))];
    const diagonal = integerValues(scope.constant(1))?.[0] ?? 0;
    const [rows, columns] = value?.shape.slice(-2) ?? [];
    if (value === undefined || values === undefined || rows === undefined || columns === undefined) return undefined;
    const upper = intOf(scope, 'upper', 1) === 1;
    const kept = values.map((each, i) => {
      const offset = (i % columns) - (Math.floor(i / columns) % rows);
      return (upper ? offset >= diagonal : offset <= diagonal) ? each : 0;
    });
    return folded(value.dtype, value.shape, kept);
  },
};

/** Element data is shared: no constant is ever written. */
function reshaped(value: OnnxTensor, shape: readonly number[]): OnnxTensor | undefined {
  return elementCount(shape) === value.data.length ? { ...value, shape } : undefined;
}

function picked(
  value: OnnxTensor,
  shape: readonly number[],
  strides: readonly number[],
  start = 0,
): OnnxTensor | undefined {
  const values = numbersOf(value);
  return values && folded(value.dtype, shape, pick(values, positions(shape, strides, start)));
}

/** A piece for each vector of indices. Vectors that say also which sample are for ops. */
function gatherNd(scope: FoldScope): OnnxTensor | undefined {
  const [value, indices] = [scope.constant(0), scope.constant(1)];
  const values = numbersOf(value);
  if (value === undefined || values === undefined || indices === undefined) return undefined;
  const count = indices.shape.at(-1) ?? 0;
  const at = intOf(scope, 'batch_dims', 0) === 0 ? flatPositions(indices, value.shape.slice(0, count)) : undefined;
  const piece = value.shape.slice(count);
  const elements = at?.flatMap((position) => runOf(values, position, elementCount(piece)));
  return elements && folded(value.dtype, [...indices.shape.slice(0, -1), ...piece], elements);
}

/** Data with a piece put in the place that each vector of indices names: how masks of windows are made. */
function scatterNd(scope: FoldScope): OnnxTensor | undefined {
  const [value, indices, updates] = [0, 1, 2].map((input) => scope.constant(input));
  const [values, pieces] = [numbersOf(value), numbersOf(updates)];
  const reduction = scope.node.attributes['reduction'];
  if (value === undefined || indices === undefined || values === undefined || pieces === undefined) return undefined;
  if (reduction?.type === 'string' && reduction.value !== 'none') return undefined;
  const count = indices.shape.at(-1) ?? 0;
  const at = flatPositions(indices, value.shape.slice(0, count));
  const size = elementCount(value.shape.slice(count));
  if (at === undefined || pieces.length !== at.length * size) return undefined;
  at.forEach((position, i) => values.set(pieces.subarray(i * size, (i + 1) * size), position * size));
  return folded(value.dtype, value.shape, values);
}

function runOf(values: Float64Array, position: number, size: number): number[] {
  return Array.from(values.subarray(position * size, (position + 1) * size));
}

function concat(scope: FoldScope): OnnxTensor | undefined {
  const parts = scope.node.inputs.map((_, i) => scope.constant(i)).filter((part) => part !== undefined);
  const [first] = parts;
  if (first === undefined || parts.length < scope.node.inputs.length) return undefined;
  const axis = normalAxis(intOf(scope, 'axis', 0), first.shape.length);
  const all = parts.map((part) => numbersOf(part));
  if (axis === undefined || !all.every((values) => values !== undefined)) return undefined;
  const outer = elementCount(first.shape.slice(0, axis));
  const joined = Array.from({ length: outer }, (_, o) =>
    all.flatMap((values) => {
      const run = values.length / outer;
      return Array.from(values.subarray(o * run, (o + 1) * run));
    }),
  );
  const extent = parts.reduce((sum, part) => sum + (part.shape[axis] ?? 0), 0);
  return folded(first.dtype, first.shape.with(axis, extent), joined.flat());
}

/** Source: https://onnx.ai/onnx/operators/onnx__Slice.html, "effective start and end". */
function slice(scope: FoldScope): OnnxTensor | undefined {
  const value = scope.constant(0);
  const [starts, ends] = [listOf(scope, 'starts', 1), listOf(scope, 'ends', 2)];
  if (value === undefined || starts === undefined || ends === undefined) return undefined;
  const given = (input: number): boolean => (scope.node.inputs[input] ?? '') !== '';
  const axes = listOf(scope, 'axes', 3) ?? (given(3) ? undefined : [...starts.keys()]);
  const steps = integerValues(scope.constant(4)) ?? (given(4) ? undefined : starts.map(() => 1));
  if (axes === undefined || steps === undefined || steps.includes(0)) return undefined;
  const [shape, strides] = [[...value.shape], stridesOf(value.shape)];
  let first = 0;
  for (const [i, given] of axes.entries()) {
    const axis = normalAxis(given, shape.length);
    if (axis === undefined) return undefined;
    const [extent, step] = [shape[axis]!, steps[i]!];
    const [low, high] = step > 0 ? [0, extent] : [-1, extent - 1];
    const clamp = (at: number, least: number): number => Math.min(Math.max(at < 0 ? at + extent : at, least), high);
    const [start, end] = [clamp(starts[i]!, 0), clamp(ends[i]!, low)];
    shape[axis] = Math.max(0, Math.ceil((end - start) / step));
    first += start * strides[axis]!;
    strides[axis]! *= step;
  }
  return picked(value, shape, strides, first);
}

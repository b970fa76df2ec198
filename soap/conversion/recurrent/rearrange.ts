import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import { integerValues } from '../fold/folder.ts';
import type { Shape } from '../../graph/graph.ts';
import type { Rearranged } from './weight-runs.ts';
import { cut, merged } from './weight-runs.ts';
import { elementCount } from '../../onnx/indexing.ts';

/** Beyond so many runs a tensor is no reordering of a layer's weights. */
const MAX_RUNS = 65_536;

/** The node types that only move elements. */
export const REARRANGING: ReadonlySet<string> = new Set([
  'Slice',
  'Concat',
  'Squeeze',
  'Unsqueeze',
  'Reshape',
  'Expand',
]);

/**
 * What a node of a type in {@link REARRANGING} makes of its inputs.
 * @param rearranged an input as a rearranged constant of floats, or undefined
 * @param constant an input that is a constant, such as axes, or undefined
 * @returns undefined where it is not known, or more complicated than a reordering of weights
 */
export function rearrange(
  node: OnnxNode,
  rearranged: (input: number) => Rearranged | undefined,
  constant: (input: number) => OnnxTensor | undefined,
  isZero: (value: Rearranged) => boolean,
): Rearranged | undefined {
  const value = rearranged(0);
  if (value === undefined) return undefined;
  const given = (input: number, name: string): number[] | undefined => {
    const attribute = node.attributes[name];
    return integerValues(constant(input)) ?? (attribute?.type === 'ints' ? [...attribute.value] : undefined);
  };
  switch (node.opType) {
    case 'Slice':
      return sliceOf(value, given(1, 'starts'), given(2, 'ends'), given(3, 'axes'), given(4, 'steps'));
    case 'Concat': {
      const parts = node.inputs.map((_, input) => rearranged(input));
      const axis = node.attributes['axis'];
      if (axis?.type !== 'int' || !parts.every((part) => part !== undefined)) return undefined;
      return concatOf(parts, axis.value);
    }
    case 'Squeeze':
      return { shape: squeezedShape(value.shape, given(1, 'axes')), runs: value.runs };
    case 'Unsqueeze': {
      const axes = given(1, 'axes');
      return axes && { shape: unsqueezedShape(value.shape, axes), runs: value.runs };
    }
    case 'Reshape': {
      const shape = given(1, 'shape');
      return shape && reshaped(value, shape);
    }
    case 'Expand': {
      const shape = integerValues(constant(1));
      return shape && expanded(value, shape, isZero);
    }
    default:
      return undefined;
  }
}

function normal(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** A slice along one axis in steps of one. */
function sliceOf(
  value: Rearranged,
  starts: readonly number[] | undefined,
  ends: readonly number[] | undefined,
  axes: readonly number[] = [0],
  steps: readonly number[] = [1],
): Rearranged | undefined {
  if (starts?.length !== 1 || ends?.length !== 1 || axes.length !== 1 || steps[0] !== 1) return undefined;
  const axis = normal(axes[0]!, value.shape.length);
  const extent = value.shape[axis];
  if (extent === undefined) return undefined;
  const bound = (at: number): number => Math.min(Math.max(at < 0 ? at + extent : at, 0), extent);
  const [start, end] = [bound(starts[0]!), bound(ends[0]!)];
  const inner = elementCount(value.shape.slice(axis + 1));
  const outer = elementCount(value.shape.slice(0, axis));
  if (start >= end || outer > MAX_RUNS) return undefined;
  const pieces = Array.from({ length: outer }, (_, o) =>
    cut(value.runs, (o * extent + start) * inner, (end - start) * inner),
  );
  return limited({ shape: value.shape.with(axis, end - start), runs: merged(pieces.flat()) });
}

function concatOf(parts: readonly Rearranged[], attribute: number): Rearranged | undefined {
  const { shape } = parts[0]!;
  const axis = normal(attribute, shape.length);
  const elsewhere = (each: Shape): string => String(each.map((extent, k) => (k === axis ? 0 : extent)));
  if (shape[axis] === undefined || parts.some((part) => elsewhere(part.shape) !== elsewhere(shape))) return undefined;
  const outer = elementCount(shape.slice(0, axis));
  if (outer * parts.length > MAX_RUNS) return undefined;
  const runs = Array.from({ length: outer }, (_, o) =>
    parts.map((part) => cut(part.runs, (o * elementCount(part.shape)) / outer, elementCount(part.shape) / outer)),
  ).flat(2);
  const extent = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
  return limited({ shape: shape.with(axis, extent), runs: merged(runs) });
}

/** Without the axes, or without all of extent 1. */
function squeezedShape(shape: Shape, axes: readonly number[] | undefined): Shape {
  const gone = axes?.map((axis) => normal(axis, shape.length));
  return shape.filter((extent, axis) => !(gone?.includes(axis) ?? extent === 1));
}

function unsqueezedShape(shape: Shape, axes: readonly number[]): Shape {
  const rank = shape.length + axes.length;
  const added = new Set(axes.map((axis) => normal(axis, rank)));
  const extents = shape.values();
  return Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (extents.next().value ?? 1)));
}

/** As ONNX's Reshape says it: 0 keeps an extent, -1 is what remains. */
function reshaped({ shape, runs }: Rearranged, asked: readonly number[]): Rearranged | undefined {
  const kept = asked.map((extent, axis) => (extent === 0 ? (shape[axis] ?? 0) : extent));
  const known = elementCount(kept.filter((extent) => extent !== -1));
  const to = kept.map((extent) => (extent === -1 ? elementCount(shape) / known : extent));
  return elementCount(to) === elementCount(shape) ? { shape: to, runs } : undefined;
}

/** To the shape that it has, or zeros that stay so to any: initial states have the batch of the file, which is replaced. */
function expanded(value: Rearranged, shape: Shape, isZero: (value: Rearranged) => boolean): Rearranged | undefined {
  if (String(shape) === String(value.shape)) return value;
  return isZero(value) ? { shape, runs: [{ source: undefined, start: 0, length: elementCount(shape) }] } : undefined;
}

function limited(value: Rearranged): Rearranged | undefined {
  return value.runs.length <= MAX_RUNS ? value : undefined;
}

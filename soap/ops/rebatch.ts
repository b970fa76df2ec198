import type { Shape } from '../graph/graph.ts';
import { elementCount } from '../onnx/indexing.ts';

/** A tensor that a Reshape reads, as the file has it and as the job does. */
export interface Reread {
  readonly file: Shape;
  readonly job: Shape;
}

/** Elements from the start of the tensor to where an axis begins to count, and to where it ends: its place, outermost first. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * The target of a Reshape for the job's batch. The samples stay in the axis that holds theirs in the file: where one axis of
 * what is read has another extent in the job, the axis at the same place of the target is scaled as it is; where several lie there,
 * the one of the file's batch, else the one that takes what is left, else the first. Undefined where the shapes do not tell.
 * @param target in the file: -1 takes what is left, at most once
 */
export function rebatched(target: readonly number[], read: Reread, fileBatch: number): readonly number[] | undefined {
  const axes = [...read.file.keys()].filter((axis) => read.file[axis] !== read.job[axis]);
  if (axes.length !== 1) return axes.length === 0 ? target : undefined;
  const known = elementCount(target.filter((extent) => extent !== -1));
  const whole = target.map((extent) => (extent === -1 ? elementCount(read.file) / known : extent));
  if (elementCount(whole) !== elementCount(read.file)) return undefined;
  const [from, to] = [read.file[axes[0]!]!, read.job[axes[0]!]!];
  const place = spanOf(read.file, axes[0]!);
  const there = [...whole.keys()].filter(
    (axis) => overlap(spanOf(whole, axis), place) && (whole[axis]! * to) % from === 0,
  );
  const axis =
    there.find((each) => there.length === 1 || whole[each] === fileBatch) ??
    there.find((each) => target[each] === -1) ??
    there[0];
  return axis === undefined ? undefined : whole.with(axis, (whole[axis]! * to) / from);
}

function spanOf(shape: Shape, axis: number): Span {
  const start = elementCount(shape.slice(0, axis));
  return { start, end: start * shape[axis]! };
}

function overlap(a: Span, b: Span): boolean {
  return Math.max(a.start, b.start) < Math.min(a.end, b.end);
}

import type { Shape } from '../../graph/graph.ts';
import { elementCount } from '../../onnx/indexing.ts';

/** Consecutive elements of a constant of the file; zeros where `source` is undefined. */
export interface Run {
  readonly source: string | undefined;
  readonly start: number;
  readonly length: number;
}

/**
 * A constant that nodes of the file put together from others: where its elements come from, row-major. Exporters reorder the
 * weights of recurrent layers in this way; seen through, they are the parameters that the model was defined with.
 */
export interface Rearranged {
  readonly shape: Shape;
  readonly runs: readonly Run[];
}

/** A constant of the file as it is. */
export function wholeConstant(name: string, shape: Shape): Rearranged {
  return { shape, runs: [{ source: name, start: 0, length: elementCount(shape) }] };
}

/** Blocks along the first axis in another order: block k of the result is block `order[k]`. */
export function reordered({ shape, runs }: Rearranged, order: readonly number[]): Rearranged {
  const block = elementCount(shape) / order.length;
  return { shape, runs: merged(order.flatMap((k) => cut(runs, k * block, block))) };
}

/** The index-th of `count` equal parts of all elements, with a shape of its own. */
export function equalPart({ runs }: Rearranged, index: number, count: number, shape: Shape): Rearranged {
  const length = runs.reduce((sum, run) => sum + run.length, 0) / count;
  return { shape, runs: merged(cut(runs, index * length, length)) };
}

/** The one constant that a value has all elements of, in its order; undefined where it is another. */
export function wholeSource({ runs }: Rearranged, sizeOfConstant: (name: string) => number): string | undefined {
  const [first, ...others] = runs;
  if (first?.source === undefined || others.length > 0 || first.start !== 0) return undefined;
  return first.length === sizeOfConstant(first.source) ? first.source : undefined;
}

/** The elements. */
export function elementsOf(value: Rearranged, constant: (name: string) => ArrayLike<number>): Float32Array {
  const elements = new Float32Array(elementCount(value.shape));
  let at = 0;
  for (const { source, start, length } of value.runs) {
    if (source !== undefined) {
      const from = constant(source);
      for (let i = 0; i < length; i++) elements[at + i] = from[start + i]!;
    }
    at += length;
  }
  return elements;
}

/** Part of a sequence of runs: so many elements from `start` on. */
export function cut(runs: readonly Run[], start: number, length: number): Run[] {
  const found: Run[] = [];
  let at = 0;
  for (const run of runs) {
    const from = Math.max(start, at);
    const to = Math.min(start + length, at + run.length);
    if (from < to) found.push({ source: run.source, start: run.start + from - at, length: to - from });
    at += run.length;
  }
  return found;
}

/** Runs that go on where the last ends, as one. */
export function merged(runs: readonly Run[]): Run[] {
  const found: Run[] = [];
  for (const run of runs) {
    const last = found.at(-1);
    if (
      last !== undefined &&
      last.source === run.source &&
      (run.source === undefined || last.start + last.length === run.start)
    ) {
      found[found.length - 1] = { ...last, length: last.length + run.length };
    } else found.push(run);
  }
  return found;
}

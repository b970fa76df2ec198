import type { Graph, Op } from '../graph/graph.ts';
import { opClasses } from '../graph/op-classes.ts';
import { opDimensions } from '../ops/index.ts';
import { opPart } from '../ops/kernel.ts';
import type { Dimension, Part } from '../ops/op.ts';
import type { Interval, Region } from '../region/region.ts';
import type { OpConfig } from './strategy.ts';
import { divisorsUpTo } from '../region/divisors.ts';

/** Per dimension of an op, the axis of a tensor that it cuts; undefined where it does not cut the tensor. */
type Axes = readonly (number | undefined)[];

/** An activation between two ops. */
export interface Junction {
  readonly producer: number;
  /** Which of its outputs. */
  readonly output: number;
  readonly consumer: number;
  /** Which of its inputs. */
  readonly input: number;
}

/** Splits ops like the ops before or after them, so that parts find their data on their own device. */
export class Alignment {
  readonly #graph: Graph;
  readonly #dimensions: readonly (readonly Dimension[])[];
  readonly #classOf: Int32Array;
  /** By class of ops, side and index. */
  readonly #axes = new Map<string, Axes>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#dimensions = graph.ops.map((op) => opDimensions(graph, op));
    this.#classOf = opClasses(graph);
  }

  /**
   * The configuration of a consumer that cuts what it reads as its producer cuts it, each part where its data is; undefined
   * where it cannot be cut so. Dimensions that the tensor does not have are not cut.
   */
  follow({ producer, output, consumer, input }: Junction, config: OpConfig): OpConfig | undefined {
    return this.#transfer(
      { op: producer, axes: this.#axesOf(producer, 'outputs', output), config },
      { op: consumer, axes: this.#axesOf(consumer, 'inputs', input) },
    );
  }

  /** The configuration of a producer that cuts its output as a consumer reads it. */
  lead({ producer, output, consumer, input }: Junction, config: OpConfig): OpConfig | undefined {
    return this.#transfer(
      { op: consumer, axes: this.#axesOf(consumer, 'inputs', input), config },
      { op: producer, axes: this.#axesOf(producer, 'outputs', output) },
    );
  }

  #transfer(
    from: { readonly op: number; readonly axes: Axes; readonly config: OpConfig },
    to: { readonly op: number; readonly axes: Axes },
  ): OpConfig | undefined {
    const sources = to.axes.map((axis, i) =>
      axis === undefined || to.axes.indexOf(axis) < i ? -1 : from.axes.indexOf(axis),
    );
    const degrees = sources.map((source) => (source < 0 ? 1 : from.config.degrees[source]!));
    const dimensions = this.#dimensions[to.op]!;
    if (degrees.some((degree, i) => dimensions[i]!.size % degree !== 0)) return undefined;
    const parts = sourceParts(degrees, sources, from.config.degrees);
    const devices: number[] = [];
    for (let part = 0; part < parts.length; part++) devices.push(from.config.devices[parts[part]!]!);
    return { degrees, devices };
  }

  #axesOf(op: number, side: 'inputs' | 'outputs', index: number): Axes {
    const key = `${this.#classOf[op]!}.${side}.${index}`;
    let axes = this.#axes.get(key);
    if (axes === undefined) {
      axes = cutAxes(this.#graph, this.#graph.ops[op]!, this.#dimensions[op]!, (part) => part[side][index]);
      this.#axes.set(key, axes);
    }
    return axes;
  }
}

/** Which axis of a tensor each dimension cuts: the one along which a part's box becomes shorter. */
function cutAxes(
  graph: Graph,
  op: Op,
  dimensions: readonly Dimension[],
  boxOf: (part: Part) => Region | undefined,
): Axes {
  const whole = dimensions.map(({ size }): Interval => [0, size]);
  const wholeBox = boxOf(opPart(graph, op, whole));
  return dimensions.map(({ size }, dimension) => {
    const [, degree] = divisorsUpTo(size, size);
    if (degree === undefined || wholeBox === undefined) return undefined;
    const box = boxOf(opPart(graph, op, whole.with(dimension, [0, size / degree])));
    const axis = wholeBox.findIndex(([start, end], i) => {
      const [partStart, partEnd] = box?.[i] ?? [0, 0];
      return partEnd - partStart < end - start;
    });
    return axis < 0 ? undefined : axis;
  });
}

/**
 * The part of one op that each part of another goes with: the one with the same index in every dimension that both cut, and
 * the first in the others.
 * @param sources by dimension of the other op, the dimension of the first; -1 for none
 */
function sourceParts(degrees: readonly number[], sources: readonly number[], from: readonly number[]): Int32Array {
  let parts = Int32Array.of(0);
  degrees.forEach((degree, i) => {
    if (degree === 1) return;
    const stride = from.slice(sources[i]! + 1).reduce((a, b) => a * b, 1);
    const finer = new Int32Array(parts.length * degree);
    for (let part = 0; part < finer.length; part++) {
      finer[part] = parts[Math.floor(part / degree)]! + (part % degree) * stride;
    }
    parts = finer;
  });
  return parts;
}

import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';

/** A shape with the number of samples in place of an extent, for files. */
export function shapeOfSamples(emit: Emitter, shape: readonly number[], axis: number): Value {
  const before = axis === 0 ? [] : [emit.ints(shape.slice(0, axis))];
  const after = axis === shape.length - 1 ? [] : [emit.ints(shape.slice(axis + 1))];
  const extents = [...before, emit.batch(), ...after];
  return extents.length === 1 ? extents[0]! : emit.node('Concat', extents, [shape.length], { axis: int(0) });
}

/**
 * A value once for each sample along an axis, for files: [..., n, ...] -> [..., batch * n, ...].
 * @param batch samples of the shapes
 */
export function repeatForSamples(emit: Emitter, value: Value, axis: number, batch: number): Value {
  const { shape } = value;
  const extent = shape[axis]!;
  const apart = extent === 1 ? value : emit.reshape(value, shape.toSpliced(axis, 0, 1));
  const target = shapeOfSamples(
    emit,
    apart.shape.map(() => 1),
    axis,
  );
  const repeated = emit.node('Expand', [apart, target], apart.shape.with(axis, batch));
  if (extent === 1) return repeated;
  return emit.node('Reshape', [repeated, emit.ints(shape.with(axis, -1))], shape.with(axis, batch * extent));
}

/** What row-major values along an axis have for one sample, where that is the same for all; else undefined. */
export function valuesOfSample(
  values: readonly number[],
  shape: readonly number[],
  axis: number,
  batch: number,
): readonly number[] | undefined {
  const row = shape.slice(axis).reduce((a, b) => a * b, 1);
  const own = row / batch;
  const first = values.filter((_, at) => at % row < own);
  const isSame = values.every((value, at) => value === first[Math.floor(at / row) * own + (at % own)]);
  return isSame ? first : undefined;
}

import type { Emitter, Value } from './emitter.ts';
import { int, ints } from './emitter.ts';

/** [N, C, P] and [N, C, P] -> [N, C]: a matrix product for each pair of vectors, which is a single pass over both. */
export function dots(emit: Emitter, a: Value, b: Value): Value {
  const [samples, channels, length] = a.shape;
  if (length === 1) {
    const product = emit.node('Mul', [a, b], a.shape);
    return emit.reshape(product, [samples!, channels!]);
  }
  const row = emit.reshape(a, [samples!, channels!, 1, length!]);
  const column = emit.reshape(b, [samples!, channels!, length!, 1]);
  return emit.reshape(emit.node('MatMul', [row, column], [samples!, channels!, 1, 1]), [samples!, channels!]);
}

/** Mean over an axis, which stays with extent 1 or disappears. */
export function reduceMean(emit: Emitter, value: Value, axis: number, keep: boolean): Value {
  const shape = keep ? value.shape.with(axis, 1) : value.shape.toSpliced(axis, 1);
  return emit.node('ReduceMean', [value], shape, { axes: ints([axis]), keepdims: int(keep ? 1 : 0) });
}

/** Two tensors of equal size as one vector. */
export function joined(emit: Emitter, first: Value, second: Value): Value {
  const vectors = [first, second].map((value) => emit.reshape(value, [value.shape.reduce((a, b) => a * b, 1)]));
  return emit.node('Concat', vectors, [2 * vectors[0]!.shape[0]!], { axis: int(0) });
}

/** Cuts an axis in two. */
export function halves(emit: Emitter, value: Value, axis: number): readonly [Value, Value] {
  const half = { dtype: value.dtype, shape: value.shape.with(axis, value.shape[axis]! / 2) };
  const [first, second] = emit.nodes('Split', [value], [half, half], { axis: int(axis) });
  return [first!, second!];
}

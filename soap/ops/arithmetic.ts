import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import { broadcastShape } from '../onnx/indexing.ts';

/** An operand: a value, or a constant number. */
export type Operand = Value | number;

/** Emits elementwise arithmetic with broadcasting, one node a call. Numbers are of the type of the value beside them. */
export interface Arithmetic {
  add(a: Operand, b: Operand): Value;
  sub(a: Operand, b: Operand): Value;
  mul(a: Operand, b: Operand): Value;
  div(a: Operand, b: Operand): Value;
  pow(a: Operand, b: Operand): Value;
  max(a: Operand, b: Operand): Value;
  min(a: Operand, b: Operand): Value;
  /** Booleans. */
  greater(a: Operand, b: Operand): Value;
  greaterOrEqual(a: Operand, b: Operand): Value;
  equal(a: Operand, b: Operand): Value;
  where(condition: Value, a: Operand, b: Operand): Value;
  /** A node of one input that keeps its shape: Neg, Exp ... */
  apply(opType: string, x: Value): Value;
  /** Sum over axes, which stay with extent 1. */
  sumKept(x: Value, axes: readonly number[]): Value;
}

/** Arithmetic on the values of an emitter. */
export function arithmetic(emit: Emitter): Arithmetic {
  const valueOf = (operand: Operand, other: Operand): Value => {
    if (typeof operand !== 'number') return operand;
    return typeof other !== 'number' && other.dtype === 'int64' ? emit.int(operand) : emit.scalar(operand);
  };
  const shapeOf = (...values: readonly Value[]): readonly number[] => {
    const shape = broadcastShape(...values.map((value) => value.shape));
    if (shape === undefined) throw new Error(`internal: shapes ${values.map((value) => `[${value.shape}]`).join()}`);
    return shape;
  };
  const binary =
    (opType: string, dtype?: 'bool') =>
    (a: Operand, b: Operand): Value => {
      const [x, y] = [valueOf(a, b), valueOf(b, a)];
      return emit.node(opType, [x, y], shapeOf(x, y), {}, dtype === undefined ? {} : { dtype });
    };
  return {
    add: binary('Add'),
    sub: binary('Sub'),
    mul: binary('Mul'),
    div: binary('Div'),
    pow: binary('Pow'),
    max: binary('Max'),
    min: binary('Min'),
    greater: binary('Greater', 'bool'),
    greaterOrEqual: binary('GreaterOrEqual', 'bool'),
    equal: binary('Equal', 'bool'),
    where(condition, a, b) {
      const [x, y] = [valueOf(a, b), valueOf(b, a)];
      return emit.node('Where', [condition, x, y], shapeOf(condition, x, y), {}, { dtype: x.dtype });
    },
    apply: (opType, x) => emit.node(opType, [x], x.shape),
    sumKept(x, axes) {
      const shape = x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
      return emit.node('ReduceSum', [x, emit.ints(axes)], shape, { keepdims: int(1) });
    },
  };
}

import { dtypeName } from '../../onnx/element-types.ts';
import { elementCount, broadcastShape, broadcastStrides, pick, positions } from '../../onnx/indexing.ts';
import type { OnnxDType } from '../../onnx/model.ts';
import type { Folder } from './folder.ts';
import { folded, intOf, listOf, numbersOf } from './folder.ts';

/** Nodes that compute each element from the elements at its place, and sums and products of all. */
export const ARITHMETIC: Readonly<Record<string, Folder>> = {
  Add: elementwise(2, (a, b) => a + b),
  Sub: elementwise(2, (a, b) => a - b),
  Mul: elementwise(2, (a, b) => a * b),
  Div: (scope) => {
    const whole = scope.constant(0)?.dtype.startsWith('int') === true;
    return elementwise(2, (a, b) => (whole ? Math.trunc(a / b) : a / b))(scope);
  },
  // The sign is that of the divisor, or with fmod of the dividend.
  Mod: (scope) => {
    const truncated = intOf(scope, 'fmod', 0) === 1;
    return elementwise(2, (a, b) => (truncated ? a % b : a - b * Math.floor(a / b)))(scope);
  },
  Pow: elementwise(2, (a, b) => a ** b),
  Max: elementwise(2, Math.max),
  Min: elementwise(2, Math.min),
  Equal: elementwise(2, (a, b) => Number(a === b), 'bool'),
  Less: elementwise(2, (a, b) => Number(a < b), 'bool'),
  LessOrEqual: elementwise(2, (a, b) => Number(a <= b), 'bool'),
  Greater: elementwise(2, (a, b) => Number(a > b), 'bool'),
  GreaterOrEqual: elementwise(2, (a, b) => Number(a >= b), 'bool'),
  And: elementwise(2, (a, b) => a * b),
  Or: elementwise(2, Math.max),
  Not: elementwise(1, (a) => 1 - a),
  Neg: elementwise(1, (a) => -a),
  Abs: elementwise(1, Math.abs),
  Sqrt: elementwise(1, Math.sqrt),
  Exp: elementwise(1, Math.exp),
  Sin: elementwise(1, Math.sin),
  Cos: elementwise(1, Math.cos),
  Log: elementwise(1, Math.log),
  Reciprocal: elementwise(1, (a) => 1 / a),
  Floor: elementwise(1, Math.floor),
  Ceil: elementwise(1, Math.ceil),
  Where: (scope) => {
    const dtype = scope.constant(1)?.dtype;
    return dtype && elementwise(3, (condition, a, b) => (condition === 0 ? b : a), dtype)(scope);
  },
  Cast: (scope) => {
    const dtype = dtypeName(intOf(scope, 'to', 0));
    if (dtype === undefined) return undefined;
    const given = scope.constant(0);
    // Also one that is too large to be counted with, such as the end of a slice that has none.
    if (given?.dtype === dtype) return given;
    const brought = dtype === 'bool' ? (a: number): number => Number(a !== 0) : isInteger(dtype) ? Math.trunc : Number;
    return elementwise(1, brought, dtype)(scope);
  },
  ReduceProd: reduction((a, b) => a * b),
  ReduceSum: reduction((a, b) => a + b),
  ReduceMax: reduction((a, b) => Math.max(a, b)),
  ReduceMin: reduction((a, b) => Math.min(a, b)),
};

function isInteger(dtype: OnnxDType): boolean {
  return dtype === 'int64' || dtype === 'int32' || dtype === 'uint8';
}

/** A node of so many inputs, which broadcast; its type is that of the first unless said. */
function elementwise(count: number, f: (a: number, b: number, c: number) => number, result?: OnnxDType): Folder {
  return ({ node, constant }) => {
    const tensors = Array.from({ length: count }, (_, input) => constant(input));
    const shape = broadcastShape(...tensors.map((tensor) => tensor?.shape ?? []));
    const operands = tensors.map((tensor) => {
      const values = numbersOf(tensor);
      if (tensor === undefined || values === undefined || shape === undefined) return undefined;
      return pick(values, positions(shape, broadcastStrides(tensor.shape, shape)));
    });
    if (shape === undefined || node.inputs.length > count || !operands.every((each) => each !== undefined))
      return undefined;
    const [a, b = a, c = a] = operands;
    return folded(
      result ?? tensors[0]!.dtype,
      shape,
      a!.map((x, i) => f(x, b![i]!, c![i]!)),
    );
  };
}

/** Folds all elements into one; axes are left to ops. */
function reduction(f: (a: number, b: number) => number): Folder {
  return (scope) => {
    const [tensor, values] = [scope.constant(0), numbersOf(scope.constant(0))];
    const axes = listOf(scope, 'axes', 1);
    if (tensor === undefined || values === undefined || values.length === 0) return undefined;
    if (axes !== undefined && axes.length < tensor.shape.length) return undefined;
    const keeps = intOf(scope, 'keepdims', 1) === 1;
    const shape = keeps ? tensor.shape.map(() => 1) : [];
    return elementCount(shape) === 1 ? folded(tensor.dtype, shape, [values.reduce(f)]) : undefined;
  };
}

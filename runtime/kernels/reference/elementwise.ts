import { dtypeName } from '../../../soap/onnx/element-types.ts';
import type { OnnxDType } from '../../../soap/onnx/model.ts';
import { erf } from './erf.ts';
import { broadcastShape, broadcastStrides, pick, positions } from './indexing.ts';
import type { NodeCompiler, NodeReader, NodeTable } from './node-reader.ts';
import type { Tensor } from './tensor.ts';
import { tensor } from './tensor.ts';

/** Nodes that compute each element from the elements at its place. */
export const ELEMENTWISE: NodeTable = {
  Identity: unary((x) => x),
  Relu: unary((x) => (x < 0 ? 0 : x)),
  Sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  Tanh: unary(Math.tanh),
  Erf: unary(erf),
  Neg: unary((x) => -x),
  Exp: unary(Math.exp),
  Atan: unary(Math.atan),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Reciprocal: unary((x) => 1 / x),
  Abs: unary(Math.abs),
  Sign: unary(Math.sign),
  Softplus: unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  HardSwish: unary((x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1)),
  LeakyRelu: (node) => {
    const alpha = node.float('alpha', 0.01);
    return unary((x) => (x < 0 ? alpha * x : x))(node);
  },
  Elu: (node) => {
    const alpha = node.float('alpha', 1);
    return unary((x) => (x < 0 ? alpha * Math.expm1(x) : x))(node);
  },
  HardSigmoid: (node) => {
    const [alpha, beta] = [node.float('alpha', 0.2), node.float('beta', 0.5)];
    return unary((x) => Math.min(Math.max(alpha * x + beta, 0), 1))(node);
  },
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  // Integers: the quotient is truncated when it is brought to its type.
  Div: binary((a, b) => a / b),
  Pow: binary((a, b) => a ** b),
  Greater: binary((a, b) => Number(a > b), 'bool'),
  GreaterOrEqual: binary((a, b) => Number(a >= b), 'bool'),
  Less: binary((a, b) => Number(a < b), 'bool'),
  Equal: binary((a, b) => Number(a === b), 'bool'),
  Sum: folded((a, b) => a + b),
  Max: folded(Math.max),
  Min: folded(Math.min),
  Where:
    (node) =>
    ([...inputs]) => {
      const [shape, [condition, x, y]] = broadcast(node, inputs, 3);
      const chosen = condition!.map((choice, i) => (choice === 0 ? y![i]! : x![i]!));
      return [tensor(node.input(inputs, 1).dtype, shape, chosen)];
    },
  // Of whole tensors, with one scale and no zero point.
  DequantizeLinear: (node) => (inputs) => {
    const [{ shape, data }, scale] = [node.input(inputs, 0), node.input(inputs, 1)];
    return [
      tensor(
        scale.dtype,
        shape,
        data.map((x) => x * scale.data[0]!),
      ),
    ];
  },
  Clip: (node) => (inputs) => {
    const { dtype, shape, data } = node.input(inputs, 0);
    const low = inputs[1]?.data[0] ?? -Infinity;
    const high = inputs[2]?.data[0] ?? Infinity;
    const clipped = data.map((x) => Math.min(Math.max(x, low), high));
    return [tensor(dtype, shape, clipped)];
  },
  Cast: (node) => {
    const code = node.int('to', 0);
    const dtype = dtypeName(code);
    if (dtype === undefined) throw node.error(`attribute 'to' is type ${code}, which is not supported`);
    return (inputs) => {
      const { shape, data } = node.input(inputs, 0);
      return [tensor(dtype, shape, data.slice())];
    };
  },
};

function unary(f: (x: number) => number): NodeCompiler {
  return (node) => (inputs) => {
    const { dtype, shape, data } = node.input(inputs, 0);
    return [tensor(dtype, shape, data.map(f))];
  };
}

function binary(f: (a: number, b: number) => number, result?: OnnxDType): NodeCompiler {
  return (node) => (inputs) => {
    const [shape, [a, b]] = broadcast(node, inputs, 2);
    const data = a!.map((x, i) => f(x, b![i]!));
    return [tensor(result ?? node.input(inputs, 0).dtype, shape, data)];
  };
}

/** A node of any number of inputs. */
function folded(f: (a: number, b: number) => number): NodeCompiler {
  return (node) => (inputs) => {
    const [shape, [first, ...others]] = broadcast(node, inputs, inputs.length);
    const data = others.reduce((a, b) => a.map((x, i) => f(x, b[i]!)), first!);
    return [tensor(node.input(inputs, 0).dtype, shape, data)];
  };
}

/** The first `count` inputs, each repeated to the shape that they share. */
function broadcast(
  node: NodeReader,
  inputs: readonly (Tensor | undefined)[],
  count: number,
): [shape: number[], data: Float64Array[]] {
  const tensors = Array.from({ length: count }, (_, index) => node.input(inputs, index));
  const shape = broadcastShape(...tensors.map((each) => each.shape));
  if (shape === undefined) {
    throw node.error(`shapes ${tensors.map((each) => `[${each.shape}]`).join(', ')} do not broadcast`);
  }
  return [shape, tensors.map((each) => pick(each.data, positions(shape, broadcastStrides(each.shape, shape))))];
}

import { broadcastShape, broadcastStrides, pick, positions, stridesOf } from './indexing.ts';
import type { NodeReader, NodeTable } from './node-reader.ts';
import type { Tensor } from './tensor.ts';
import { tensor } from './tensor.ts';
import { elementCount } from '../../../soap/onnx/indexing.ts';

/** Matrix products. */
export const MATMUL: NodeTable = {
  MatMul: (node) => (inputs) => [product(node, node.input(inputs, 0), node.input(inputs, 1), 1)],
  Gemm: (node) => {
    const [transA, transB] = [node.int('transA', 0), node.int('transB', 0)];
    const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)];
    return (inputs) => {
      const a = transposed(node.input(inputs, 0), transA);
      const b = transposed(node.input(inputs, 1), transB);
      if (a.shape.length !== 2 || b.shape.length !== 2) throw node.error(`inputs are [${a.shape}] and [${b.shape}]`);
      return [added(node, product(node, a, b, alpha), inputs[2], beta)];
    };
  },
};

/** com.microsoft.FusedMatMul: alpha * op(A) * op(B). Source: ContribOperators.md of ONNX Runtime. */
export const FUSED_MATMUL: NodeTable = {
  FusedMatMul: (node) => {
    const [transA, transB] = [node.int('transA', 0), node.int('transB', 0)];
    const alpha = node.float('alpha', 1);
    return (inputs) => {
      const a = transposed(node.input(inputs, 0), transA);
      const b = transposed(node.input(inputs, 1), transB);
      return [product(node, a, b, alpha)];
    };
  },
};

/** alpha * A[..., M, K] * B[..., K, N]. The leading axes broadcast; a vector gets an axis, which the result loses. */
function product(node: NodeReader, first: Tensor, second: Tensor, alpha: number): Tensor {
  const a = first.shape.length === 1 ? [1, ...first.shape] : first.shape;
  const b = second.shape.length === 1 ? [...second.shape, 1] : second.shape;
  const [m, k] = a.slice(-2);
  const [kOfB, n] = b.slice(-2);
  const batch = broadcastShape(a.slice(0, -2), b.slice(0, -2));
  if (m === undefined || n === undefined || k === undefined || k !== kOfB || batch === undefined) {
    throw node.error(`[${first.shape}] by [${second.shape}] is no matrix product`);
  }
  const data = new Float64Array(elementCount(batch) * m * n);
  const startsOfA = positions(batch, broadcastStrides(a.slice(0, -2), batch));
  const startsOfB = positions(batch, broadcastStrides(b.slice(0, -2), batch));
  for (let index = 0; index < startsOfA.length; index += 1) {
    const matrixA = first.data.subarray(startsOfA[index]! * m * k);
    const matrixB = second.data.subarray(startsOfB[index]! * k * n);
    multiply(matrixA, matrixB, data.subarray(index * m * n), [m, k, n], alpha);
  }
  const rows = first.shape.length === 1 ? [] : [m];
  const columns = second.shape.length === 1 ? [] : [n];
  return tensor(first.dtype, [...batch, ...rows, ...columns], data);
}

function multiply(
  a: Float64Array,
  b: Float64Array,
  c: Float64Array,
  [m, k, n]: readonly [number, number, number],
  alpha: number,
): void {
  for (let i = 0; i < m; i += 1) {
    for (let j = 0; j < n; j += 1) {
      let sum = 0;
      for (let p = 0; p < k; p += 1) sum += a[i * k + p]! * b[p * n + j]!;
      c[i * n + j] = alpha * sum;
    }
  }
}

/** Swaps the last two axes, where asked. */
function transposed(value: Tensor, swap: number): Tensor {
  if (swap === 0 || value.shape.length < 2) return value;
  const last = value.shape.length - 1;
  const order = value.shape.map((_, axis) => (axis === last ? last - 1 : axis === last - 1 ? last : axis));
  const strides = stridesOf(value.shape);
  const shape = order.map((axis) => value.shape[axis]!);
  return tensor(
    value.dtype,
    shape,
    pick(
      value.data,
      positions(
        shape,
        order.map((axis) => strides[axis]!),
      ),
    ),
  );
}

/** result + beta * addend, which broadcasts to the result. */
function added(node: NodeReader, result: Tensor, addend: Tensor | undefined, beta: number): Tensor {
  if (addend === undefined) return result;
  const shape = broadcastShape(result.shape, addend.shape);
  if (shape === undefined || elementCount(shape) !== result.data.length) {
    throw node.error(`[${addend.shape}] does not broadcast to [${result.shape}]`);
  }
  const at = positions(result.shape, broadcastStrides(addend.shape, result.shape));
  return tensor(
    result.dtype,
    result.shape,
    result.data.map((x, i) => x + beta * addend.data[at[i]!]!),
  );
}

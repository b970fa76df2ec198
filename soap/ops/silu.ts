import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = x * sigmoid(x); dx = dy * s * (1 + x * (1 - s)) with s = sigmoid(x). In ONNX files it is a Sigmoid and a Mul. */
export const silu: OpDefinition = unaryOp({
  kind: 'silu',
  onnxTypes: [],
  flops: [5, 8],
  forward: ({ math }, x) => math.mul(x, math.apply('Sigmoid', x)),
  gradient: ({ math }, dy, x) => {
    const s = math.apply('Sigmoid', x());
    return math.mul(dy, math.mul(s, math.add(1, math.mul(x(), math.sub(1, s)))));
  },
});

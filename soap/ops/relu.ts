import type { OpDefinition } from './op.ts';
import { unaryOp } from './unary.ts';

/** y = max(x, 0). The gradient at 0 is 0, as in PyTorch. */
export const relu: OpDefinition = unaryOp({
  kind: 'relu',
  onnxTypes: ['Relu'],
  flops: [1, 1],
  forward: ({ math }, x) => math.apply('Relu', x),
  gradient: ({ math }, dy, _x, y) => math.where(math.greater(y(), 0), dy, 0),
});

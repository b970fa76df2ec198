import { binaryOp } from './binary.ts';
import type { OpDefinition } from './op.ts';

/** y = a * b with broadcasting: gates, scales. */
export const mul: OpDefinition = binaryOp({
  kind: 'mul',
  onnxType: 'Mul',
  backwardFlops: 2,
  forward: (math, a, b) => math.mul(a, b),
  gradient: (math, operand, a, b, dy) => math.mul(dy, operand === 0 ? b() : a()),
});

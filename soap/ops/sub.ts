import { binaryOp } from './binary.ts';
import type { OpDefinition } from './op.ts';

/** y = a - b with broadcasting. */
export const sub: OpDefinition = binaryOp({
  kind: 'sub',
  onnxType: 'Sub',
  backwardFlops: 1,
  forward: (math, a, b) => math.sub(a, b),
  gradient: (math, operand, _a, _b, dy) => (operand === 0 ? dy : math.apply('Neg', dy)),
});

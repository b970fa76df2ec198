import { binaryOp } from './binary.ts';
import type { OpDefinition } from './op.ts';

/** y = a + b with broadcasting: shortcuts of residual blocks, biases, position embeddings. */
export const add: OpDefinition = binaryOp({
  kind: 'add',
  onnxType: 'Add',
  backwardFlops: 0,
  forward: (math, a, b) => math.add(a, b),
  gradient: (_math, _operand, _a, _b, dy) => dy,
});

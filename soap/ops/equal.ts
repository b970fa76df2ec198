import { comparisonOp } from './comparison.ts';
import type { OpDefinition } from './op.ts';

/** a = b. */
export const equal: OpDefinition = comparisonOp('equal', 'Equal', (math, a, b) => math.equal(a, b));

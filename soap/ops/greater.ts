import { comparisonOp } from './comparison.ts';
import type { OpDefinition } from './op.ts';

/** a > b. */
export const greater: OpDefinition = comparisonOp('greater', 'Greater', (math, a, b) => math.greater(a, b));

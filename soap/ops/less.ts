import { comparisonOp } from './comparison.ts';
import type { OpDefinition } from './op.ts';

/** a < b. */
export const less: OpDefinition = comparisonOp('less', 'Less', (math, a, b) => math.greater(b, a));

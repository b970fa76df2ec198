import { comparisonOp } from './comparison.ts';
import type { OpDefinition } from './op.ts';

/** a >= b. */
export const greaterOrEqual: OpDefinition = comparisonOp('greaterOrEqual', 'GreaterOrEqual', (math, a, b) =>
  math.greaterOrEqual(a, b),
);

import { comparisonOp } from './comparison.ts';
import type { OpDefinition } from './op.ts';

/** a <= b. */
export const lessOrEqual: OpDefinition = comparisonOp('lessOrEqual', 'LessOrEqual', (math, a, b) =>
  math.greaterOrEqual(b, a),
);

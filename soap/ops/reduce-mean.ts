import type { OpDefinition } from './op.ts';
import { reduceOp } from './reduce.ts';

/** The mean over axes: parts hold their share of it, so that sums of partial results are the mean. */
export const reduceMean: OpDefinition = reduceOp({
  kind: 'reduceMean',
  onnxType: 'ReduceMean',
  divisor: (elements) => elements,
});

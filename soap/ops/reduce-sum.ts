import type { OpDefinition } from './op.ts';
import { reduceOp } from './reduce.ts';

/** The sum over axes. */
export const reduceSum: OpDefinition = reduceOp({ kind: 'reduceSum', onnxType: 'ReduceSum', divisor: () => 1 });

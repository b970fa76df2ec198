import { extremeOp } from './extreme.ts';
import type { OpDefinition } from './op.ts';

/** The larger of two. */
export const max: OpDefinition = extremeOp({ kind: 'max', onnxType: 'Max' });

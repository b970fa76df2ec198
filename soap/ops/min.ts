import { extremeOp } from './extreme.ts';
import type { OpDefinition } from './op.ts';

/** The smaller of two. */
export const min: OpDefinition = extremeOp({ kind: 'min', onnxType: 'Min' });

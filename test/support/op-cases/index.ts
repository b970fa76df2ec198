import type { OpCase } from '../op-case.ts';
import { CASES as CNN } from './cnn.ts';
import { CASES as LOSSES } from './losses.ts';
import { CASES as RECURRENT } from './recurrent.ts';
import { CASES as TRANSFORMER } from './transformer.ts';

/** The cases of all ops. */
export const OP_CASES: readonly OpCase[] = [...CNN, ...LOSSES, ...RECURRENT, ...TRANSFORMER];

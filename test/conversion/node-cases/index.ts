import type { NodeCase } from '../../support/beside-runtime.ts';
import { ATTENTION_CASES } from './attention.ts';
import { OTHER_CASES } from './others.ts';
import { ROTARY_CASES } from './rotary.ts';

/** Nodes that are written as others, as small graphs. */
export const NODE_CASES: readonly NodeCase[] = [...ATTENTION_CASES, ...ROTARY_CASES, ...OTHER_CASES];

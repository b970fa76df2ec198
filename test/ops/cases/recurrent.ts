import type { OpCase } from '../../support/op-case.ts';

/** Recurrent networks, and mixtures of experts. */
export const CASES: readonly OpCase[] = [];

import type { OpCase } from '../../support/op-case.ts';

/** Recurrent networks, and mixtures of experts. */
export const CASES: readonly OpCase[] = [
  { kind: 'sigmoid', inputs: [{ shape: [4, 6] }], dimensions: ['sample', 'channel'] },
  { kind: 'tanh', inputs: [{ shape: [4, 6] }], dimensions: ['sample', 'channel'] },
];

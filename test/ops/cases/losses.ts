import type { OpCase } from '../../support/op-case.ts';

/** Losses, which read no gradient of their output. */
export const CASES: readonly OpCase[] = [
  {
    kind: 'crossEntropy',
    attributes: { scale: 1 / 8 },
    inputs: [{ shape: [8, 5] }, { shape: [8], dtype: 'int64', values: (random) => random.integer(5) }],
    dimensions: ['sample'],
  },
  {
    kind: 'meanSquaredError',
    attributes: { scale: 1 / 24 },
    inputs: [{ shape: [4, 6] }, { shape: [4, 6], role: 'data' }],
    dimensions: ['sample', 'channel'],
  },
];

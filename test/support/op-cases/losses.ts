import type { OpCase } from '../op-case.ts';

/** Softmax's negative logarithm at each target, by its textbook formula; -1 is a target that does not count. */
const negativeLogSoftmax =
  (classes: number, smoothing: number = 0): NonNullable<OpCase['expected']> =>
  (logits, targets) =>
    targets.map((target, row) => {
      if (target < 0) return 0;
      const own = logits.slice(row * classes, (row + 1) * classes);
      const total = Math.log(own.reduce((sum, logit) => sum + Math.exp(logit), 0));
      if (smoothing === 0) return total - own[target]!;
      const mean = own.reduce((sum, logit) => sum + (total - logit) / classes, 0);
      return (1 - smoothing) * (total - own[target]!) + smoothing * mean;
    });

/** A logit that a mask hides. */
const HIDDEN = -Infinity;

/** Losses, which read no gradient of their output. */
export const CASES: readonly OpCase[] = [
  {
    kind: 'crossEntropy',
    attributes: { scale: 1 / 8 },
    inputs: [{ shape: [8, 6] }, { shape: [8], dtype: 'int64', values: (random) => random.integer(6) }],
    dimensions: ['sample', 'class'],
    expected: negativeLogSoftmax(6),
  },
  {
    kind: 'crossEntropy',
    does: 'with smoothed labels, some of which do not count',
    attributes: { scale: 1 / 8, labelSmoothing: 0.1, ignoreIndex: -1 },
    inputs: [{ shape: [8, 6] }, { shape: [8], dtype: 'int64', values: (random) => random.integer(7) - 1 }],
    dimensions: ['sample', 'class'],
    expected: negativeLogSoftmax(6, 0.1),
  },
  {
    kind: 'crossEntropy',
    does: 'among classes that are looked through in groups',
    attributes: { scale: 1 / 2, ignoreIndex: -1 },
    inputs: [{ shape: [2, 64] }, { shape: [2], dtype: 'int64', values: (random) => random.integer(64) }],
    dimensions: ['sample', 'class'],
    expected: negativeLogSoftmax(64),
  },
  {
    kind: 'crossEntropy',
    does: 'of logits that a mask hides, whole pieces of them',
    attributes: { scale: 1 / 4, ignoreIndex: -1 },
    inputs: [
      { shape: [4, 4], values: [1, HIDDEN, HIDDEN, HIDDEN, HIDDEN, HIDDEN, 2, 1, HIDDEN, 3, 1, 2, HIDDEN, 1, 2, 3] },
      { shape: [4], dtype: 'int64', values: [0, 3, 1, -1] },
    ],
    dimensions: ['sample', 'class'],
    expected: negativeLogSoftmax(4),
  },
  {
    kind: 'crossEntropy',
    does: 'of a sequence that is a piece of longer targets',
    attributes: { scale: 1 / 12, start: 2 },
    inputs: [{ shape: [2, 3, 4] }, { shape: [2, 6], dtype: 'int64', values: (random) => random.integer(4) }],
    dimensions: ['sample', 'sequence', 'class'],
    expected: (logits, targets) => negativeLogSoftmax(4)(logits, [...targets.slice(2, 5), ...targets.slice(8, 11)]),
  },
  {
    kind: 'meanSquaredError',
    attributes: { scale: 1 / 24 },
    inputs: [{ shape: [4, 6] }, { shape: [4, 6], role: 'data' }],
    dimensions: ['sample', 'channel'],
  },
  {
    kind: 'meanSquaredError',
    does: 'of a piece of longer targets',
    attributes: { scale: 1 / 24, start: 3 },
    inputs: [{ shape: [2, 3, 4] }, { shape: [2, 8, 4], role: 'data' }],
    dimensions: ['sample', 'sequence', 'channel'],
    expected: (x, y) => x.map((value, i) => (value - y[Math.floor(i / 12) * 32 + 12 + (i % 12)]!) ** 2),
  },
  {
    kind: 'binaryCrossEntropy',
    attributes: { scale: 1 / 24 },
    inputs: [{ shape: [4, 6] }, { shape: [4, 6], role: 'data', values: (random) => random.integer(2) }],
    dimensions: ['sample', 'channel'],
    expected: (x, y) =>
      x.map((logit, i) => -Math.log(y[i] === 1 ? 1 / (1 + Math.exp(-logit)) : 1 - 1 / (1 + Math.exp(-logit)))),
  },
];

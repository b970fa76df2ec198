import type { OpCase } from '../../support/op-case.ts';

/** Transformers, recommenders, and what every model needs. */
export const CASES: readonly OpCase[] = [
  {
    kind: 'linear',
    does: 'with a weight of [out, in]',
    attributes: { transposed: true },
    inputs: [{ shape: [4, 6] }, { shape: [8, 6], role: 'parameter' }, { shape: [8], role: 'parameter' }],
    dimensions: ['sample', 'channel', 'width'],
    expected: (x, weight, bias) =>
      Array.from({ length: 32 }, (_, i) =>
        Array.from({ length: 6 }, (_, k) => x[Math.floor(i / 8) * 6 + k]! * weight[(i % 8) * 6 + k]!).reduce(
          (a, b) => a + b,
          bias[i % 8]!,
        ),
      ),
  },
  {
    kind: 'linear',
    does: 'with a weight of [in, out], without bias',
    attributes: { transposed: false },
    inputs: [{ shape: [4, 6] }, { shape: [6, 8], role: 'parameter' }],
    dimensions: ['sample', 'channel', 'width'],
  },
  { kind: 'add', inputs: [{ shape: [4, 6] }, { shape: [4, 6] }], dimensions: ['sample', 'channel'] },
];

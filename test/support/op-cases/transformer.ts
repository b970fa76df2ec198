import { erf } from '../../../runtime/kernels/reference/erf.ts';
import type { Random } from '../../../soap/random.ts';
import type { OpCase } from '../op-case.ts';

/** A score that a mask hides. */
const HIDDEN = -Infinity;

const parameter = (...shape: number[]): OpCase['inputs'][number] => ({ shape, role: 'parameter' });
const positive = (random: Random): number => 0.5 + random.next();
const below =
  (bound: number) =>
  (random: Random): number =>
    random.integer(bound);

const ROWS = ['sample', 'channel'];
const SEQUENCE = ['sample', 'sequence', 'channel'];

/** Elementwise ops of one operand, with a formula of their own. */
const UNARY: readonly OpCase[] = (
  [
    ['relu', (x) => Math.max(x, 0)],
    ['sigmoid', (x) => 1 / (1 + Math.exp(-x))],
    ['tanh', Math.tanh],
    ['exp', Math.exp],
    ['atan', Math.atan],
    ['sin', Math.sin],
    ['cos', Math.cos],
    ['neg', (x) => -x],
    ['abs', Math.abs],
    ['erf', erf],
    ['gelu', (x) => 0.5 * x * (1 + erf(x / Math.SQRT2))],
    ['silu', (x) => x / (1 + Math.exp(-x))],
    ['softplus', (x) => Math.log(1 + Math.exp(x))],
    ['hardSwish', (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6],
    ['leakyRelu', (x) => (x > 0 ? x : 0.25 * x), { alpha: 0.25 }],
    ['elu', (x) => (x > 0 ? x : 1.5 * (Math.exp(x) - 1)), { alpha: 1.5 }],
    ['hardSigmoid', (x) => Math.min(Math.max(0.25 * x + 0.5, 0), 1), { alpha: 0.25, beta: 0.5 }],
    ['clip', (x) => Math.min(Math.max(x, -0.5), 0.75), { min: -0.5, max: 0.75 }],
    ['pow', (x) => x ** 3, { exponent: 3 }],
  ] as const satisfies readonly (readonly [string, (x: number) => number, OpCase['attributes']?])[]
).map(([kind, f, attributes]): OpCase => ({
  kind,
  attributes: attributes ?? {},
  // Wide enough to meet every piece of the piecewise ones.
  inputs: [{ shape: [4, 6], values: (random) => 3 * random.normal() }],
  dimensions: ROWS,
  expected: (x) => x.map(f),
}));

const POWERS: readonly OpCase[] = [0, 1].map((exponent): OpCase => ({
  kind: 'pow',
  does: `to ${exponent}, at 0 too`,
  attributes: { exponent },
  inputs: [{ shape: [2, 3], values: [-1, -0.5, 0, 0, 0.5, 2] }],
  dimensions: ROWS,
  expected: (x) => x.map((value) => value ** exponent),
}));

const POSITIVE: readonly OpCase[] = (
  [
    ['log', Math.log],
    ['sqrt', Math.sqrt],
    ['reciprocal', (x) => 1 / x],
  ] as const satisfies readonly (readonly [string, (x: number) => number])[]
).map(([kind, f]): OpCase => ({
  kind,
  inputs: [{ shape: [2, 3, 4], values: positive }],
  dimensions: SEQUENCE,
  expected: (x) => x.map(f),
}));

const BINARY: readonly OpCase[] = (['add', 'sub', 'mul', 'div'] as const).flatMap((kind): OpCase[] => [
  { kind, does: 'of equal shapes', inputs: [{ shape: [4, 6] }, { shape: [4, 6], values: positive }], dimensions: ROWS },
  {
    kind,
    does: 'with broadcasting both ways',
    inputs: [{ shape: [4, 1, 6] }, { shape: [3, 1], role: 'parameter', values: positive }],
    dimensions: SEQUENCE,
  },
  { kind, does: 'with a number', attributes: { scalar: 1.5 }, inputs: [{ shape: [4, 6] }], dimensions: ROWS },
  {
    kind,
    does: 'with a number before',
    attributes: { scalar: 1.5, scalarFirst: true },
    inputs: [{ shape: [4, 6], values: positive }],
    dimensions: ROWS,
  },
]);

const EXTREMES: readonly OpCase[] = (['max', 'min'] as const).map((kind): OpCase => ({
  kind,
  inputs: [{ shape: [4, 1, 6] }, { shape: [3, 1], role: 'parameter' }],
  dimensions: SEQUENCE,
  expected: (a, b) =>
    Array.from({ length: 72 }, (_, i) => Math[kind](a[Math.floor(i / 18) * 6 + (i % 6)]!, b[Math.floor(i / 6) % 3]!)),
}));

const PADS: readonly OpCase[] = [
  {
    kind: 'pad',
    attributes: { begin: [0, 0, 3], end: [0, 1, 5], value: 0.5 },
    inputs: [{ shape: [2, 3, 4] }],
    dimensions: SEQUENCE,
    expected: (x) =>
      Array.from({ length: 96 }, (_, i) => {
        const [n, row, column] = [Math.floor(i / 48), Math.floor(i / 12) % 4, (i % 12) - 3];
        return row < 3 && column >= 0 && column < 4 ? x[(n * 3 + row) * 4 + column]! : 0.5;
      }),
  },
  {
    kind: 'pad',
    does: 'of whole numbers',
    attributes: { begin: [0, 2], end: [0, 0], value: 7 },
    inputs: [{ shape: [2, 4], dtype: 'int64', values: below(5) }],
    dimensions: ROWS,
  },
];

const PRODUCTS: readonly OpCase[] = [
  {
    kind: 'linear',
    does: 'with a weight of [out, in]',
    attributes: { transposed: true },
    inputs: [{ shape: [4, 6] }, parameter(8, 6), parameter(8)],
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
    inputs: [{ shape: [4, 6] }, parameter(6, 8)],
    dimensions: ['sample', 'channel', 'width'],
  },
  {
    kind: 'linear',
    does: 'of sequences',
    attributes: { transposed: true },
    inputs: [{ shape: [2, 3, 6] }, parameter(4, 6), parameter(4)],
    dimensions: ['sample', 'sequence', 'channel', 'width'],
  },
  {
    kind: 'linear',
    does: 'of four axes',
    attributes: { transposed: false },
    inputs: [{ shape: [2, 2, 3, 4] }, parameter(4, 6), parameter(6)],
    dimensions: ['sample', 'axis1', 'axis2', 'channel', 'width'],
  },
  {
    kind: 'matmul',
    does: 'of two matrices',
    inputs: [{ shape: [4, 6] }, { shape: [6, 3] }],
    dimensions: ['sample', 'column', 'width'],
  },
  {
    kind: 'matmul',
    does: 'in batches that broadcast',
    inputs: [{ shape: [2, 1, 4, 6] }, { shape: [2, 3, 6, 2] }],
    dimensions: ['sample', 'axis1', 'row', 'column', 'width'],
  },
  {
    kind: 'attention',
    does: 'over another sequence',
    attributes: { heads: 2, causal: false },
    inputs: [{ shape: [2, 4, 8] }, { shape: [2, 6, 8] }, { shape: [2, 6, 4] }],
    dimensions: ['sample', 'sequence', 'heads'],
  },
  {
    kind: 'attention',
    does: 'that is causal',
    attributes: { heads: 3, causal: true },
    inputs: [{ shape: [2, 6, 6] }, { shape: [2, 6, 6] }, { shape: [2, 6, 6] }],
    dimensions: ['sample', 'sequence', 'heads'],
    expected: causalAttention,
  },
];

/** One step, head and element at a time: [2, 6, 6] with 3 heads. */
function causalAttention(q: readonly number[], k: readonly number[], v: readonly number[]): number[] {
  const at = (n: number, t: number, w: number): number => (n * 6 + t) * 6 + w;
  return Array.from({ length: 72 }, (_, i) => {
    const [n, t, w] = [Math.floor(i / 36), Math.floor(i / 6) % 6, i % 6];
    const first = w - (w % 2);
    const weights = Array.from({ length: t + 1 }, (_, s) =>
      Math.exp(
        (q[at(n, t, first)]! * k[at(n, s, first)]! + q[at(n, t, first + 1)]! * k[at(n, s, first + 1)]!) / Math.SQRT2,
      ),
    );
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.reduce((sum, weight, s) => sum + (weight / total) * v[at(n, s, w)]!, 0);
  });
}

const NORMALIZATION: readonly OpCase[] = [
  {
    kind: 'layerNorm',
    attributes: { epsilon: 2 ** -4 },
    inputs: [{ shape: [2, 3, 8], values: (random) => 5 + random.normal() }, parameter(8), parameter(8)],
    dimensions: SEQUENCE,
  },
  {
    kind: 'layerNorm',
    does: 'without beta',
    attributes: { epsilon: 2 ** -17 },
    inputs: [{ shape: [3, 6] }, parameter(6)],
    dimensions: ROWS,
  },
  {
    kind: 'softmax',
    does: 'along the last axis',
    attributes: { axis: 2 },
    inputs: [{ shape: [2, 3, 8], values: (random) => 4 * random.normal() }],
    dimensions: ['sample', 'sequence', 'class'],
  },
  {
    kind: 'softmax',
    does: 'of scores that a causal mask hides, whole pieces of them',
    attributes: { axis: 2 },
    inputs: [
      { shape: [1, 4, 4], values: [1, HIDDEN, HIDDEN, HIDDEN, 2, 1, HIDDEN, HIDDEN, 1, 3, 2, HIDDEN, 4, 1, 2, 3] },
    ],
    dimensions: ['sample', 'sequence', 'class'],
  },
  {
    kind: 'softmax',
    does: 'along an inner axis',
    attributes: { axis: 1 },
    inputs: [{ shape: [2, 6, 3] }],
    dimensions: ['sample', 'class', 'channel'],
  },
  {
    kind: 'logSoftmax',
    does: 'along the last axis',
    attributes: { axis: 1 },
    inputs: [{ shape: [2, 8], values: (random) => 4 * random.normal() }],
    dimensions: ['sample', 'class'],
    expected: (x) => {
      const rows = [x.slice(0, 8), x.slice(8)];
      const sums = rows.map((row) => Math.log(row.reduce((total, value) => total + Math.exp(value), 0)));
      return rows.flatMap((row, i) => row.map((value) => value - sums[i]!));
    },
  },
  {
    kind: 'logSoftmax',
    does: 'along an inner axis',
    attributes: { axis: 1 },
    inputs: [{ shape: [2, 6, 3] }],
    dimensions: ['sample', 'class', 'channel'],
  },
];

/** Results of 0 and 1, without a gradient. */
const COMPARISONS: readonly OpCase[] = (
  [
    ['greater', (a, b) => a > b],
    ['less', (a, b) => a < b],
    ['greaterOrEqual', (a, b) => a >= b],
    ['lessOrEqual', (a, b) => a <= b],
    ['equal', (a, b) => a === b],
  ] as const satisfies readonly (readonly [string, (a: number, b: number) => boolean])[]
).flatMap(([kind, holds]): OpCase[] => [
  {
    kind,
    inputs: [2, 1].map((rows) => ({ shape: [rows, 6], role: 'data', values: below(3) })),
    dimensions: ROWS,
    expected: (a, b) => a.map((value, i) => Number(holds(value, b[i % 6]!))),
  },
  {
    kind,
    does: 'a number on the left',
    attributes: { scalar: 1, scalarFirst: true },
    inputs: [{ shape: [2, 6], role: 'data', values: below(3) }],
    dimensions: ROWS,
    expected: (x) => x.map((value) => Number(holds(1, value))),
  },
  ...[1, 1.5].map((scalar): OpCase => ({
    kind,
    does: `${scalar} with whole numbers`,
    attributes: { scalar },
    inputs: [{ shape: [2, 6], dtype: 'int64', values: below(3) }],
    dimensions: ROWS,
    expected: (x) => x.map((value) => Number(holds(value, scalar))),
  })),
]);

const TOKENS = { dtype: 'int64', values: below(6) } as const;
const MOVES: readonly OpCase[] = [
  {
    kind: 'embedding',
    inputs: [{ shape: [2, 4], ...TOKENS }, parameter(6, 4)],
    dimensions: ['sample', 'sequence', 'channel', 'vocabulary'],
    expected: (tokens, table) => tokens.flatMap((token) => table.slice(4 * token, 4 * token + 4)),
  },
  {
    kind: 'embedding',
    does: 'of some steps',
    attributes: { start: 1, steps: 2 },
    inputs: [{ shape: [2, 4], ...TOKENS }, parameter(6, 4)],
    dimensions: ['sample', 'sequence', 'channel', 'vocabulary'],
  },
  {
    kind: 'embedding',
    does: 'of one token a sample',
    inputs: [{ shape: [4], ...TOKENS }, parameter(6, 2)],
    dimensions: ['sample', 'channel', 'vocabulary'],
  },
  {
    kind: 'transpose',
    attributes: { perm: [2, 0, 1] },
    inputs: [{ shape: [2, 3, 4] }],
    dimensions: ['channel', 'sample', 'sequence'],
  },
  {
    kind: 'reshape',
    does: 'into heads',
    attributes: { shape: [2, 3, 4, 3] },
    inputs: [{ shape: [2, 3, 12] }],
    dimensions: ['sample', 'channel', 'height'],
    expected: (x) => x,
  },
  {
    kind: 'reshape',
    does: 'that joins the batch with what follows',
    attributes: { shape: [8, 1, 3] },
    inputs: [{ shape: [4, 2, 3] }],
    dimensions: ['sample', 'channel'],
  },
  {
    kind: 'reshape',
    does: 'between axes that share a divisor',
    attributes: { shape: [2, 4, 9] },
    inputs: [{ shape: [2, 6, 6] }],
    dimensions: ['sample', 'sequence'],
  },
  {
    kind: 'slice',
    attributes: { starts: [1], ends: [3], axes: [1], steps: [1] },
    inputs: [{ shape: [2, 4, 3] }],
    dimensions: SEQUENCE,
  },
  {
    kind: 'slice',
    does: 'with steps, forwards and backwards',
    attributes: { starts: [1, 6], ends: [8, -8], axes: [1, 2], steps: [2, -3] },
    inputs: [{ shape: [2, 8, 7] }],
    dimensions: SEQUENCE,
    expected: (x) =>
      Array.from({ length: 24 }, (_, i) => {
        const [n, row, column] = [Math.floor(i / 12), Math.floor(i / 3) % 4, i % 3];
        return x[(n * 8 + 1 + 2 * row) * 7 + 6 - 3 * column]!;
      }),
  },
  {
    kind: 'gather',
    does: 'of indices that repeat',
    attributes: { axis: 1, indices: [3, 0, 3, 1], indicesShape: [4] },
    inputs: [{ shape: [2, 5, 3] }],
    dimensions: SEQUENCE,
  },
  {
    kind: 'gather',
    does: 'of one index',
    attributes: { axis: 1, indices: [2], indicesShape: [] },
    inputs: [{ shape: [2, 5, 3] }],
    dimensions: ROWS,
  },
  {
    kind: 'gather',
    does: 'of positions of a table',
    attributes: { axis: 0, indices: [0, 1, 2, 3], indicesShape: [1, 4] },
    inputs: [parameter(6, 3)],
    dimensions: ['sequence', 'channel'],
  },
  {
    kind: 'gatherElements',
    does: 'of some rows, at indices that repeat',
    attributes: { axis: 1 },
    inputs: [{ shape: [4, 5, 3] }, { shape: [3, 4, 3], dtype: 'int64', values: below(5) }],
    dimensions: ['sample', 'channel'],
    expected: (x, indices) => indices.map((index, i) => x[(Math.floor(i / 12) * 5 + index) * 3 + (i % 3)]!),
  },
  {
    kind: 'scatterElements',
    does: 'in place of others',
    attributes: { axis: 1, adds: false },
    inputs: [
      { shape: [2, 5, 3] },
      { shape: [2, 2, 3], dtype: 'int64', values: [0, 4, 2, 3, 1, 0, 1, 2, 3, 4, 0, 1] },
      { shape: [2, 2, 3] },
    ],
    dimensions: ['sample', 'channel'],
    expected: (x, indices, updates) =>
      indices.reduce((y, index, i) => y.with((Math.floor(i / 6) * 5 + index) * 3 + (i % 3), updates[i]!), [...x]),
  },
  {
    kind: 'scatterElements',
    does: 'added to some columns, at indices that repeat',
    attributes: { axis: 1, adds: true },
    inputs: [{ shape: [4, 3, 6] }, { shape: [4, 5, 2], dtype: 'int64', values: below(3) }, { shape: [4, 5, 2] }],
    dimensions: ['sample'],
    expected: (x, indices, updates) =>
      indices.reduce(
        (y, index, i) => {
          const at = (Math.floor(i / 10) * 3 + index) * 6 + (i % 2);
          return y.with(at, y[at]! + updates[i]!);
        },
        [...x],
      ),
  },
  ...([true, false] as const).map((largest): OpCase => ({
    kind: 'topK',
    does: `the ${largest ? 'largest' : 'smallest'} of an inner axis`,
    attributes: { axis: 1, k: 2, largest },
    inputs: [{ shape: [4, 5, 3] }],
    dimensions: ['sample', 'channel'],
    expected: (x) =>
      Array.from({ length: 24 }, (_, i) => {
        const lane = Array.from({ length: 5 }, (__, j) => x[(Math.floor(i / 6) * 5 + j) * 3 + (i % 3)]!);
        return lane.toSorted((a, b) => (largest ? b - a : a - b))[Math.floor(i / 3) % 2]!;
      }),
  })),
  {
    kind: 'constant',
    attributes: { dtype: 'float32', shape: [2, 3], values: [1, 2, 3, 4, 5, 6] },
    inputs: [],
    dimensions: ['axis0', 'axis1'],
    expected: () => [1, 2, 3, 4, 5, 6],
  },
  {
    kind: 'cast',
    does: 'of integers',
    attributes: { to: 'float32' },
    inputs: [{ shape: [4, 6], ...TOKENS }],
    dimensions: ROWS,
    expected: (x) => x,
  },
  {
    kind: 'cast',
    does: 'to booleans, which are whole numbers',
    attributes: { to: 'bool' },
    inputs: [{ shape: [4, 6], role: 'data', values: (random) => random.integer(3) / 2 }],
    dimensions: ROWS,
    expected: (x) => x.map((value) => Number(value !== 0)),
  },
  {
    kind: 'where',
    inputs: [{ shape: [4, 3, 1], dtype: 'int64', values: below(2) }, { shape: [4, 3, 2] }, parameter(2)],
    dimensions: SEQUENCE,
  },
  { kind: 'expand', attributes: { shape: [4, 3, 2] }, inputs: [parameter(1, 3, 1)], dimensions: SEQUENCE },
  {
    kind: 'reduceMean',
    does: 'that keeps the axes',
    attributes: { axes: [1, 2], keepDims: true },
    inputs: [{ shape: [2, 4, 6] }],
    dimensions: SEQUENCE,
    expected: (x) => [x.slice(0, 24), x.slice(24)].map((row) => row.reduce((a, b) => a + b, 0) / 24),
  },
  {
    kind: 'reduceMax',
    does: 'that keeps the axes',
    attributes: { axes: [1, 2], keepDims: true },
    inputs: [{ shape: [2, 4, 6] }],
    dimensions: ['sample'],
    expected: (x) => [Math.max(...x.slice(0, 24)), Math.max(...x.slice(24))],
  },
  {
    kind: 'reduceMax',
    does: 'that drops the axis',
    attributes: { axes: [1], keepDims: false },
    inputs: [{ shape: [2, 4, 6] }],
    dimensions: ['sample', 'channel'],
  },
  {
    kind: 'reduceSum',
    does: 'that drops the axis',
    attributes: { axes: [1], keepDims: false },
    inputs: [{ shape: [2, 4, 6] }],
    dimensions: SEQUENCE,
  },
];

/** Of 24 elements, 11 are dropped. */
const MASK = [0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1];

const DROPOUT: readonly OpCase[] = [
  {
    kind: 'dropout',
    attributes: { ratio: 0.2 },
    mask: MASK,
    inputs: [{ shape: [2, 3, 4] }],
    dimensions: SEQUENCE,
    expected: (x) => x.map((value, i) => (MASK[i] === 1 ? value / (1 - Math.fround(0.2)) : 0)),
  },
  {
    kind: 'dropout',
    does: 'that says what it keeps',
    attributes: { ratio: 0.75, mask: true },
    mask: MASK,
    inputs: [{ shape: [4, 6] }],
    dimensions: ROWS,
    expected: (x) => x.map((value, i) => 4 * value * MASK[i]!),
  },
];

/** Transformers, recommenders, and what every model needs. */
export const CASES: readonly OpCase[] = [
  ...UNARY,
  ...POWERS,
  ...POSITIVE,
  ...BINARY,
  ...EXTREMES,
  ...PADS,
  ...PRODUCTS,
  ...NORMALIZATION,
  ...COMPARISONS,
  ...MOVES,
  ...DROPOUT,
];

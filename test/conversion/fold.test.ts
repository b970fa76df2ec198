import test from 'ava';
import { foldNode, isFoldable } from '../../soap/conversion/fold.ts';
import type { OnnxAttribute, OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';

const ints = (...values: number[]): OnnxTensor => ({
  dtype: 'int64',
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
});
const scalar = (value: number): OnnxTensor => ({ ...ints(value), shape: [] });
const int = (value: number): OnnxAttribute => ({ type: 'int', value });

function fold(
  opType: string,
  inputs: readonly (OnnxTensor | undefined)[],
  attributes: Record<string, OnnxAttribute> = {},
  shape?: readonly number[],
): OnnxTensor | undefined {
  const names = inputs.map((input, i) => (input === undefined ? '' : `input${i}`));
  const node: OnnxNode = { name: 'n', opType, domain: '', inputs: names, outputs: ['y'], attributes };
  return foldNode(
    node,
    (i) => inputs[i],
    (i) => shape ?? inputs[i]?.shape,
  );
}

const list = ints(10, 20, 30, 40, 50);

// What NumPy gives for list[start:end:step].
const slices: [number, number, number | undefined, number[]][] = [
  [1, 3, undefined, [20, 30]],
  [0, 2 ** 53, undefined, [10, 20, 30, 40, 50]],
  [-2, 100, undefined, [40, 50]],
  [0, -1, 1, [10, 20, 30, 40]],
  [-100, 2, 1, [10, 20]],
  [3, 1, 1, []],
  [1, 5, 2, [20, 40]],
  [-1, -100, -1, [50, 40, 30, 20, 10]],
  [3, 0, -2, [40, 20]],
  [100, 2, -1, [50, 40]],
];
for (const [start, end, step, expected] of slices) {
  test(`Slice [${start}:${end}:${step ?? 1}] folds as NumPy slices`, (t) => {
    const inputs = [list, ints(start), ints(end), ints(0), ...(step === undefined ? [] : [ints(step)])];
    t.deepEqual(fold('Slice', inputs), ints(...expected));
  });
}

test('Slice reads the attributes of operator set 9, and leaves a step of 0 alone', (t) => {
  const attributes = { starts: { type: 'ints', value: [1] }, ends: { type: 'ints', value: [3] } } as const;
  t.deepEqual(fold('Slice', [list], attributes), ints(20, 30));
  t.is(fold('Slice', [list, ints(0), ints(5), ints(0), ints(0)]), undefined);
});

test('Shape gives the extents, or those between start and end', (t) => {
  t.deepEqual(fold('Shape', [undefined], {}, [4, 5, 6]), ints(4, 5, 6));
  t.deepEqual(fold('Shape', [undefined], { start: int(1) }, [4, 5, 6]), ints(5, 6));
  t.deepEqual(fold('Shape', [undefined], { start: int(-2), end: int(-1) }, [4, 5, 6]), ints(5));
  t.is(fold('Shape', [undefined]), undefined);
});

test('Gather, Unsqueeze, Squeeze and Concat do the arithmetic of views', (t) => {
  t.deepEqual(fold('Gather', [list, scalar(-1)]), scalar(50));
  t.is(fold('Gather', [list, scalar(5)]), undefined);
  t.deepEqual(fold('Unsqueeze', [scalar(7), ints(0)]), ints(7));
  t.deepEqual(fold('Unsqueeze', [list, ints(0)]), { ...list, shape: [1, 5] });
  t.deepEqual(fold('Unsqueeze', [scalar(7)], { axes: { type: 'ints', value: [0] } }), ints(7));
  t.deepEqual(fold('Squeeze', [ints(7)], { axes: { type: 'ints', value: [-1] } }), scalar(7));
  t.deepEqual(fold('Squeeze', [ints(7)]), scalar(7));
  t.deepEqual(fold('Concat', [ints(1, 2), ints(3)], { axis: int(0) }), ints(1, 2, 3));
});

test('integer arithmetic truncates as ONNX does, and what has no integer result is left alone', (t) => {
  t.deepEqual(fold('Div', [ints(7, -7), scalar(2)]), ints(3, -3));
  t.deepEqual(fold('Mul', [scalar(2), ints(3, 4)]), ints(6, 8));
  t.deepEqual(fold('Sub', [ints(5, 6), ints(1, 2)]), ints(4, 4));
  t.is(fold('Div', [ints(1), ints(0)]), undefined);
  t.is(fold('Mul', [ints(2 ** 40), ints(2 ** 40)]), undefined);
  t.is(fold('Add', [ints(1, 2), ints(1, 2, 3)]), undefined);
});

test('ConstantOfShape fills float and integer tensors, and refuses what would take all memory', (t) => {
  const half: OnnxTensor = { dtype: 'float32', shape: [1], data: Float32Array.of(0.5) };
  t.deepEqual(fold('ConstantOfShape', [ints(2, 2)], { value: { type: 'tensor', value: half } }), {
    dtype: 'float32',
    shape: [2, 2],
    data: Float32Array.of(0.5, 0.5, 0.5, 0.5),
  });
  t.deepEqual(fold('ConstantOfShape', [ints(2)])?.data, new Float32Array(2));
  t.deepEqual(fold('ConstantOfShape', [ints(3)], { value: { type: 'tensor', value: ints(1) } }), ints(1, 1, 1));
  t.is(fold('ConstantOfShape', [ints(2 ** 20, 2 ** 20)]), undefined);
  t.is(fold('ConstantOfShape', [ints(-1, -1)]), undefined);
});

test('Constant is read in each of its forms', (t) => {
  t.deepEqual(fold('Constant', [], { value: { type: 'tensor', value: list } }), list);
  t.deepEqual(fold('Constant', [], { value_int: int(3) }), scalar(3));
  t.deepEqual(fold('Constant', [], { value_ints: { type: 'ints', value: [1, 2] } }), ints(1, 2));
  t.deepEqual(fold('Constant', [], { value_float: { type: 'float', value: 0.5 } })?.data, Float32Array.of(0.5));
  t.deepEqual(fold('Constant', [], { value_floats: { type: 'floats', value: [1, 2] } })?.data, Float32Array.of(1, 2));
  t.is(fold('Constant', [], { value_string: { type: 'string', value: 'a' } }), undefined);
});

test('names of every object are no operators', (t) => {
  for (const opType of ['constructor', '__proto__', 'toString']) {
    t.false(isFoldable(opType));
    t.is(fold(opType, [list]), undefined);
  }
});

const float = (shape: readonly number[], ...values: number[]): OnnxTensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});
const bool = (shape: readonly number[], ...values: number[]): OnnxTensor => ({
  dtype: 'bool',
  shape,
  data: Uint8Array.from(values),
});

const table = float([2, 3], 0, 1, 2, 3, 4, 5);
const rows = (shape: readonly number[], ...values: number[]): OnnxTensor => ({ ...ints(...values), shape });

// What NumPy gives.
const folded: [string, readonly OnnxTensor[], Record<string, OnnxAttribute>, OnnxTensor][] = [
  ['Range', [scalar(2), scalar(9), scalar(3)], {}, ints(2, 5, 8)],
  ['Range', [scalar(3), scalar(0), scalar(-1)], {}, ints(3, 2, 1)],
  ['Equal', [ints(1, 2, 3), scalar(2)], {}, bool([3], 0, 1, 0)],
  ['Less', [float([2], 1, 3), float([], 2)], {}, bool([2], 1, 0)],
  ['Not', [bool([2], 1, 0)], {}, bool([2], 0, 1)],
  ['Where', [bool([2], 1, 0), ints(7, 8), ints(-1, -2)], {}, ints(7, -2)],
  ['Mod', [ints(7, -7), scalar(3)], {}, ints(1, 2)],
  ['Sqrt', [float([], 16)], {}, float([], 4)],
  ['Div', [float([], 1), float([], 4)], {}, float([], 0.25)],
  ['Cast', [scalar(16)], { to: int(1) }, float([], 16)],
  ['Cast', [float([2], 2.7, -2.7)], { to: int(7) }, ints(2, -2)],
  ['Cast', [float([2], 0, 0.5)], { to: int(9) }, bool([2], 0, 1)],
  ['ReduceProd', [ints(2, 3, 4)], { keepdims: int(0) }, scalar(24)],
  ['Reshape', [list, ints(1, -1)], {}, { ...list, shape: [1, 5] }],
  ['Expand', [ints(7), ints(2, 2)], {}, { ...ints(7, 7, 7, 7), shape: [2, 2] }],
  ['Transpose', [float([2, 3], 1, 2, 3, 4, 5, 6)], {}, float([3, 2], 1, 4, 2, 5, 3, 6)],
  ['Gather', [float([2, 2], 1, 2, 3, 4), ints(1)], { axis: int(1) }, float([2, 1], 2, 4)],
  ['Concat', [float([2, 1], 1, 2), float([2, 2], 3, 4, 5, 6)], { axis: int(1) }, float([2, 3], 1, 3, 4, 2, 5, 6)],
  ['Trilu', [float([2, 3], 1, 1, 1, 1, 1, 1), scalar(1)], { upper: int(1) }, float([2, 3], 0, 1, 1, 0, 0, 1)],
  ['Trilu', [float([2, 2], 1, 2, 3, 4)], { upper: int(0) }, float([2, 2], 1, 0, 3, 4)],
  ['EyeLike', [float([2, 3])], { k: int(1) }, float([2, 3], 0, 1, 0, 0, 0, 1)],
  ['EyeLike', [float([3, 2])], { k: int(-1), dtype: int(9) }, bool([3, 2], 0, 0, 1, 0, 0, 1)],
  ['GatherND', [table, rows([2, 2], 0, 2, -1, 0)], {}, float([2], 2, 3)],
  ['GatherND', [table, rows([1, 2, 1], 1, 0)], {}, float([1, 2, 3], 3, 4, 5, 0, 1, 2)],
  ['ScatterND', [table, rows([2, 2], 0, 2, -1, 0), float([2], 7, 8)], {}, float([2, 3], 0, 1, 7, 8, 4, 5)],
  ['ScatterND', [table, rows([1, 1], -1), float([1, 3], 7, 8, 9)], {}, float([2, 3], 0, 1, 2, 7, 8, 9)],
];
for (const [i, [opType, inputs, attributes, expected]] of folded.entries()) {
  test(`${opType} folds as NumPy computes it (${i})`, (t) => t.deepEqual(fold(opType, inputs, attributes), expected));
}

test('Slice takes several axes of a table', (t) => {
  const table = float([3, 4], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
  const bounds = [ints(1, 3), ints(3, 0), ints(0, 1), ints(1, -2)];
  t.deepEqual(fold('Slice', [table, ...bounds]), float([2, 2], 7, 5, 11, 9));
});

test('the largest int64, an end without bound, stays what it is', (t) => {
  const largest: OnnxTensor = { dtype: 'int64', shape: [1], data: BigInt64Array.of(2n ** 63n - 1n) };
  t.deepEqual(fold('Constant', [], { value_ints: { type: 'ints', value: [Number(2n ** 63n - 1n)] } }), largest);
  t.deepEqual(fold('Cast', [largest], { to: int(7) }), largest);
  t.deepEqual(fold('Slice', [list, ints(-2), largest, ints(0)]), ints(40, 50));
});

test('vectors of indices beyond the data, and sums, are left to ops, which refuse or compute them', (t) => {
  t.is(fold('GatherND', [table, rows([1, 2], 2, 0)]), undefined);
  t.is(fold('GatherND', [table, rows([1, 2], 0, -4)]), undefined);
  t.is(fold('GatherND', [table, rows([2, 1], 0, 1)], { batch_dims: int(1) }), undefined);
  t.is(fold('ScatterND', [table, rows([1, 2], 0, 3), float([1], 7)]), undefined);
  const add = { reduction: { type: 'string', value: 'add' } } as const;
  t.is(fold('ScatterND', [table, rows([1, 2], 0, 0), float([1], 7)], add), undefined);
});

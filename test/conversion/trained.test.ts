import test from 'ava';
import protobuf from 'protobufjs/minimal.js';
import { exportOnnx } from '../../soap/conversion/export.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { structureOf } from '../../soap/conversion/structure.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';
import { graphFingerprint } from '../../soap/graph/fingerprint.ts';
import { f32, list } from '../support/kernel-graphs.ts';
import { constant, node } from '../support/onnx-graphs.ts';

const BATCH = 4;

const floats = (shape: readonly number[], value: number = 0.5): OnnxTensor =>
  f32(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => value),
  );

/** A model of x [N, 6, 8], whose last value is `y`. */
function modelOf(nodes: readonly OnnxNode[], initializers: Record<string, OnnxTensor> = {}): OnnxGraph {
  return {
    name: 'm',
    opset: 17,
    inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 6, 8] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['N', 6, 8] }],
    initializers: new Map(Object.entries(initializers)),
    nodes,
  };
}

const weightsOf = (onnx: OnnxGraph): string[] => [...importOnnx(onnx, { batch: BATCH }).weights.keys()].toSorted();

test('constants are values to what reads them, and weights where an op has its weights', (t) => {
  const grid = constant('grid', floats([BATCH * 6, 8], 2));
  const made = constant('made', floats([8, 8]));
  t.deepEqual(
    weightsOf(modelOf([constant('ones', floats([8], 1)), node('Tanh', ['ones'], 't'), node('Mul', ['x', 't'], 'y')])),
    [],
  );
  t.deepEqual(
    weightsOf(
      modelOf([made, node('Reshape', ['x', 'rows'], 'r'), node('Gemm', ['r', 'made'], 'y')], {
        rows: list(BATCH * 6, 8),
      }),
    ),
    ['made'],
  );
  const first = [
    grid,
    made,
    node('Gemm', ['grid', 'made'], 'g'),
    node('Reshape', ['g', 'whole'], 'w'),
    node('Add', ['x', 'w'], 'y'),
  ];
  t.deepEqual(weightsOf(modelOf(first, { whole: list(BATCH, 6, 8) })), ['made'], 'coordinates that a layer reads');
});

test('the mask of a mean over valid steps is no weight, whoever reads it first', (t) => {
  const mask = [
    node('Shape', ['x'], 's'),
    node('Slice', ['s', 'zero', 'two'], 'two-axes'),
    node('ConstantOfShape', ['two-axes'], 'm', { value: { type: 'tensor', value: floats([1], 1) } }),
    node('Unsqueeze', ['m', 'last'], 'mask'),
  ];
  const [count, masked] = [
    node('ReduceSum', ['mask', 'steps'], 'n', { keepdims: { type: 'int', value: 1 } }),
    node('Mul', ['x', 'mask'], 'kept'),
  ];
  const rest = [
    node('ReduceSum', ['kept', 'steps'], 'sum', { keepdims: { type: 'int', value: 1 } }),
    node('Div', ['sum', 'n'], 'y'),
  ];
  const axes = { zero: list(0), two: list(2), last: list(2), steps: list(1) };
  t.deepEqual(weightsOf(modelOf([...mask, count, masked, ...rest], axes)), []);
  t.deepEqual(weightsOf(modelOf([...mask, masked, count, ...rest], axes)), []);
});

test('what stands in the place of the scale and bias that a normalization does without is not trained', (t) => {
  const [one, zero] = [floats([8], 1), floats([8], 0)];
  const normalized = (scale: string, bias: string): OnnxNode => node('LayerNormalization', ['x', scale, bias], 'y');
  t.deepEqual(weightsOf(modelOf([constant('one', one), constant('zero', zero), normalized('one', 'zero')])), []);
  t.deepEqual(weightsOf(modelOf([normalized('val_3', 'val_4')], { val_3: one, val_4: zero })), []);
  const named = modelOf([constant('zero', zero), normalized('norm.weight', 'zero')], { 'norm.weight': one });
  t.deepEqual(weightsOf(named), ['norm.weight'], 'a layer with a scale and no bias');
});

test('bounds, thresholds and exponents are no weights, whatever they are called', (t) => {
  const number = {
    low: floats([], 0),
    high: floats([], 6),
    level: floats([1], 0.25),
    exponent: floats([], 2),
    w: floats([8]),
  };
  const nodes = [
    node('Clip', ['x', 'low', 'high'], 'c'),
    node('Pow', ['c', 'exponent'], 'p'),
    node('Identity', ['level'], 'detached'),
    node('Greater', ['p', 'detached'], 'above'),
    node('Where', ['above', 'p', 'x'], 'v'),
    node('Mul', ['v', 'w'], 'y'),
  ];
  const model = importOnnx(modelOf(nodes, number), { batch: BATCH });
  t.deepEqual([...model.weights.keys()], ['w']);
  t.notThrows(() => attachLoss(model.graph, 'meanSquaredError'));
});

test('single numbers that simplifiers have folded are no weights; a scalar of the model is', (t) => {
  const names = ['/attn/Constant_5_output_0', 'const_fold_opt__12', 'lifted_tensor_0', 'val_7', 'scale'];
  const nodes = names.map((name, i) =>
    node('Mul', [i === 0 ? 'x' : `m${i - 1}`, name], i === names.length - 1 ? 'y' : `m${i}`),
  );
  const initializers = Object.fromEntries(names.map((name) => [name, floats([], 0.125)]));
  t.deepEqual(weightsOf(modelOf(nodes, initializers)), ['scale']);
});

test('a circle of names in a damaged file ends', (t) => {
  const circle = [node('Identity', ['w', ''], 'a'), node('Identity', ['a'], 'w'), node('Mul', ['x', 'x'], 'y')];
  t.notThrows(() => importOnnx(modelOf(circle, { w: floats([8]) }), { batch: BATCH }));
});

test('filters, matrices and tables that a file calls buffers are not trained, nor by who reads the trained model', (t) => {
  const nodes = [
    node('Reshape', ['blur', 'filters'], 'filter'),
    node('Conv', ['x', 'filter'], 'blurred', { group: 6, pads: [1, 1] }),
    node('Reshape', ['blurred', 'rows'], 'r'),
    node('Gemm', ['r', 'mix', 'shift'], 'mixed'),
    node('Reshape', ['mixed', 'whole'], 'm'),
    node('Cast', ['x'], 'tokens', { to: 7 }),
    node('Gather', ['table', 'tokens'], 'picked'),
    node('Squeeze', ['picked', 'last'], 'p'),
    node('Add', ['m', 'p'], 'sum'),
    node('Mul', ['sum', 'w'], 'y'),
  ];
  const buffers = { blur: floats([6, 3]), mix: floats([8, 8]), shift: floats([8]), table: floats([4, 1]) };
  const lists = { filters: list(6, 1, 3), rows: list(BATCH * 6, 8), whole: list(BATCH, 6, 8), last: list(3) };
  const onnx = modelOf(nodes, { ...buffers, w: floats([8]), ...lists });
  t.deepEqual(weightsOf(onnx), ['blur', 'mix', 'shift', 'table', 'w'], 'where a file says nothing');
  const told = { ...onnx, buffers: new Set(Object.keys(buffers)) };
  t.deepEqual(weightsOf(told), ['w']);
  t.deepEqual(weightsOf(decodeOnnx(encodeOnnx(exportOnnx(importOnnx(told, { batch: BATCH }))))), ['w']);
});

/** Adds to a model file what PyTorch's exporter by torch.export says of its initializers, in fields that older schemas lack. */
function withKinds(file: Uint8Array, kinds: Readonly<Record<string, string>>): Uint8Array {
  const reader = protobuf.Reader.create(file);
  const fields: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    if (tag === GRAPH)
      fields.push(message(GRAPH, Buffer.concat([reader.bytes(), ...Object.entries(kinds).map(valueInfo)])));
    else {
      reader.skipType(tag & 7);
      fields.push(file.subarray(start, reader.pos));
    }
  }
  return Buffer.concat(fields);
}

/** Tags of fields that are messages or texts: eight times their number, and 2. Source: onnx.proto. */
const [GRAPH, VALUE_INFO, NAME, METADATA, KEY, VALUE] = [7, 13, 1, 4, 1, 2].map((field) => 8 * field + 2);

const message = (tag: number | undefined, bytes: Uint8Array): Uint8Array =>
  protobuf.Writer.create()
    .uint32(tag ?? 0)
    .bytes(bytes)
    .finish();

function valueInfo([name, kind]: [string, string]): Uint8Array {
  const text = (tag: number | undefined, value: string): Uint8Array => message(tag, Buffer.from(value));
  const entry = (key: string, value: string): Uint8Array =>
    message(METADATA, Buffer.concat([text(KEY, key), text(VALUE, value)]));
  const entries = [entry('other', 'BUFFER'), entry('pkg.torch.export.graph_signature.InputSpec.kind', kind)];
  return message(VALUE_INFO, Buffer.concat([text(NAME, name), ...entries]));
}

test("what PyTorch's newer exporter calls buffers and constants is not trained", (t) => {
  const onnx = modelOf(
    [node('Add', ['x', 'pe'], 'a'), node('Mul', ['a', 'grid'], 'b'), node('Mul', ['b', 'norm.weight'], 'y')],
    { pe: floats([6, 8]), grid: floats([8]), 'norm.weight': floats([8]) },
  );
  const file = encodeOnnx(onnx);
  t.deepEqual(weightsOf(decodeOnnx(file)), ['grid', 'norm.weight', 'pe'], 'where a file says nothing, all are trained');
  const kinds = { pe: 'BUFFER', grid: 'CONSTANT_TENSOR', 'norm.weight': 'PARAMETER' };
  const decoded = decodeOnnx(withKinds(file, kinds));
  t.deepEqual([...decoded.buffers!].toSorted(), ['grid', 'pe']);
  t.deepEqual(weightsOf(decoded), ['norm.weight']);

  // A plan is made of the structure alone, and is for the same graph.
  const fingerprint = (model: OnnxGraph): string => graphFingerprint(importOnnx(model, { batch: BATCH }).graph);
  const structure = decodeOnnx(structureOf(decoded), 'the structure', 'zeros');
  t.is(fingerprint(structure), fingerprint(decoded));
  t.deepEqual(decodeOnnx(encodeOnnx(decoded)), decoded);
});

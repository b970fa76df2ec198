import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import type { onnx } from 'onnx-proto';
import onnxProto from 'onnx-proto';
import { importOnnx } from '../../soap/conversion/import.ts';
import { decodeOnnx, OnnxError } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../../soap/onnx/model.ts';
import { FileError } from '../../soap/schema/check.ts';
import { FULL_RUN } from '../support/full-run.ts';

const name = fc.oneof(fc.string({ minLength: 1, maxLength: 12 }), fc.constantFrom('__proto__', 'größe', 'constructor'));
const shape = fc.array(fc.nat({ max: 3 }), { maxLength: 3 });
const float = fc.float({ noNaN: true });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

const tensor: fc.Arbitrary<OnnxTensor> = shape.chain((extents) => {
  const elements = extents.reduce((a, b) => a * b, 1);
  const count = { minLength: elements, maxLength: elements };
  const of = (dtype: OnnxTensor['dtype'], data: fc.Arbitrary<OnnxTensor['data']>): fc.Arbitrary<OnnxTensor> =>
    data.map((values) => ({ dtype, shape: extents, data: values }));
  return fc.oneof(
    of('float32', fc.array(float, count).map(Float32Array.from.bind(Float32Array))),
    of('float64', fc.array(fc.double(), count).map(Float64Array.from.bind(Float64Array))),
    of('int64', fc.array(int64, count).map(BigInt64Array.from.bind(BigInt64Array))),
    of('int32', fc.array(fc.integer(), count).map(Int32Array.from.bind(Int32Array))),
    of('uint8', fc.array(fc.nat({ max: 255 }), count).map(Uint8Array.from.bind(Uint8Array))),
    of('bool', fc.array(fc.nat({ max: 1 }), count).map(Uint8Array.from.bind(Uint8Array))),
  );
});

const attribute: fc.Arbitrary<OnnxAttribute> = fc.oneof(
  fc.record({ type: fc.constant('int' as const), value: fc.maxSafeInteger() }),
  fc.record({ type: fc.constant('float' as const), value: float }),
  fc.record({ type: fc.constant('string' as const), value: fc.string() }),
  fc.record({ type: fc.constant('ints' as const), value: fc.array(fc.maxSafeInteger()) }),
  fc.record({ type: fc.constant('floats' as const), value: fc.array(float) }),
  fc.record({ type: fc.constant('strings' as const), value: fc.array(fc.string()) }),
  fc.record({ type: fc.constant('tensor' as const), value: tensor }),
);

const node: fc.Arbitrary<OnnxNode> = fc.record({
  name,
  opType: name,
  domain: fc.constantFrom('', 'com.microsoft'),
  inputs: fc.array(fc.string({ maxLength: 5 }), { maxLength: 3 }),
  outputs: fc.array(name, { maxLength: 2 }),
  attributes: fc.array(fc.tuple(name, attribute), { maxLength: 3 }).map((entries) => Object.fromEntries(entries)),
});

const value: fc.Arbitrary<OnnxValue> = fc.record({
  name: name.map((text) => `value ${text}`),
  dtype: fc.constantFrom('float32', 'int64', 'bool'),
  shape: fc.array(fc.oneof(fc.integer({ min: 1, max: 2 ** 40 }), name), { maxLength: 4 }),
});

const graph: fc.Arbitrary<OnnxGraph> = fc.record({
  name: fc.string(),
  opset: fc.integer({ min: 9, max: 25 }),
  inputs: fc.array(value, { maxLength: 2 }),
  outputs: fc.array(value, { maxLength: 2 }),
  initializers: fc.array(fc.tuple(name, tensor), { maxLength: 3 }).map((entries) => new Map(entries)),
  nodes: fc.array(node, { minLength: 1, maxLength: 3 }),
});

const linear: OnnxGraph = {
  name: 'linear',
  opset: 17,
  inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 3] }],
  initializers: new Map([['w', { dtype: 'float32', shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) }]]),
  nodes: [
    {
      name: 'gemm',
      opType: 'Gemm',
      domain: '',
      inputs: ['x', 'w'],
      outputs: ['y'],
      attributes: { transB: { type: 'int', value: 1 } },
    },
  ],
};

/** A file with one more initializer, written by the schema itself instead of by the encoder. */
function withInitializer(initializer: onnx.ITensorProto): Uint8Array {
  const model = onnxProto.onnx.ModelProto.decode(encodeOnnx(linear));
  model.graph!.initializer!.push(initializer);
  return onnxProto.onnx.ModelProto.encode(model).finish();
}

test('a graph written and read back is the same graph', (t) => {
  fc.assert(
    fc.property(graph, (written) => {
      t.deepEqual(decodeOnnx(encodeOnnx(written)), written);
    }),
    { numRuns: 200 },
  );
});

test('a file has the bytes that the encoder of the schema writes', (t) => {
  const { ModelProto } = onnxProto.onnx;
  fc.assert(
    fc.property(graph, (written) => {
      const bytes = encodeOnnx(written);
      t.is(Buffer.compare(bytes, ModelProto.encode(ModelProto.decode(bytes)).finish()), 0);
    }),
  );
});

test('an attribute or tensor may be called __proto__', (t) => {
  const [gemm] = linear.nodes;
  const attributes = Object.fromEntries([['__proto__', { type: 'int', value: 3 } as const]]);
  const read = decodeOnnx(encodeOnnx({ ...linear, nodes: [{ ...gemm!, attributes }] }));
  t.deepEqual(Object.entries(read.nodes[0]!.attributes), [['__proto__', { type: 'int', value: 3 }]]);
  t.is(Object.getPrototypeOf(read.nodes[0]!.attributes), Object.prototype);
});

test('tensors are read from the typed fields as well as from raw bytes', (t) => {
  const cases: [onnx.ITensorProto, OnnxTensor['data']][] = [
    [{ dataType: 1, dims: [2], floatData: [1.5, -2] }, Float32Array.of(1.5, -2)],
    [{ dataType: 11, dims: [2], doubleData: [0.1, -2] }, Float64Array.of(0.1, -2)],
    [{ dataType: 6, dims: [2], int32Data: [-1, 7] }, Int32Array.of(-1, 7)],
    [{ dataType: 2, dims: [2], int32Data: [255, 0] }, Uint8Array.of(255, 0)],
    [{ dataType: 9, dims: [2], int32Data: [1, 0] }, Uint8Array.of(1, 0)],
    [{ dataType: 7, dims: [2], int64Data: [-1, 2 ** 53] }, BigInt64Array.of(-1n, 2n ** 53n)],
    [{ dataType: 1, dims: [], floatData: [4] }, Float32Array.of(4)],
    [{ dataType: 1, dims: [0, 3] }, new Float32Array()],
  ];
  for (const [initializer, expected] of cases) {
    const read = decodeOnnx(withInitializer({ ...initializer, name: 'typed' })).initializers.get('typed');
    t.deepEqual(read?.data, expected);
    t.deepEqual(read?.shape, initializer.dims);
  }
});

test('a file cut off at any byte is refused as incomplete', (t) => {
  const whole = encodeOnnx(linear);
  t.deepEqual(decodeOnnx(whole), linear);
  for (let length = 0; length < whole.length; length++) {
    const error = t.throws(() => decodeOnnx(whole.subarray(0, length), 'cut.onnx'), { instanceOf: OnnxError });
    t.true(error.message.startsWith(`cut.onnx is not a complete ONNX file (${length} bytes`), error.message);
  }
});

test('a file with any bytes changed is read, or refused with a sentence', (t) => {
  const whole = encodeOnnx(linear);
  const changes = fc.array(fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 })), { maxLength: 4 });
  fc.assert(
    fc.property(changes, (list) => {
      const bytes = whole.slice();
      for (const [at, byte] of list) bytes[at] = byte;
      try {
        importOnnx(decodeOnnx(bytes), { batch: 2 });
      } catch (error) {
        if (!(error instanceof OnnxError) && !(error instanceof FileError)) throw error;
      }
    }),
    { numRuns: FULL_RUN ? 3000 : 300 },
  );
  t.pass();
});

test('branches and loops are refused with what to do without them', (t) => {
  const { ModelProto, AttributeProto } = onnxProto.onnx;
  const file = ModelProto.decode(encodeOnnx(linear));
  file.graph!.node![0]!.attribute = [{ name: 'body', type: AttributeProto.AttributeType.GRAPH, g: {} }];
  const error = t.throws(() => decodeOnnx(ModelProto.encode(file).finish(), 'loop.onnx'), { instanceOf: OnnxError });
  t.regex(
    error.message,
    /^loop\.onnx: node '.*', attribute 'body' is a graph: If, Loop and Scan are not supported; export/,
  );
});

test('bytes of any other kind are refused with a sentence', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      t.throws(() => decodeOnnx(bytes), { instanceOf: OnnxError });
    }),
    { numRuns: 500 },
  );
});

const hostile: [string, onnx.ITensorProto, RegExp][] = [
  [
    'claims more elements than it holds',
    { dataType: 1, dims: [2 ** 40], floatData: [1] },
    /holds 1 elements; expected 1099511627776/,
  ],
  ['has too many raw bytes', { dataType: 1, dims: [1], rawData: new Uint8Array(5) }, /holds 5 bytes; expected 4/],
  ['has a negative extent', { dataType: 1, dims: [-1, -1], floatData: [1] }, /shape \[-1,-1\]/],
  ['has more elements than a number can count', { dataType: 1, dims: [2 ** 40, 2 ** 40] }, /shape \[/],
  [
    'has a rank of 17',
    { dataType: 1, dims: Array.from({ length: 17 }, () => 1), floatData: [1] },
    /at most 16 extents/,
  ],
  [
    'is of float16',
    { dataType: 10, dims: [1], rawData: new Uint8Array(2) },
    /element type float16; expected float32.*: export the model in float32/,
  ],
  [
    'lies in another file',
    { dataType: 1, dims: [1], dataLocation: 1 },
    /stored in another file, ''; expected all weights inside/,
  ],
];
for (const [what, initializer, message] of hostile) {
  test(`a tensor that ${what} is refused by its name`, (t) => {
    const bytes = withInitializer({ ...initializer, name: 'bad' });
    const error = t.throws(() => decodeOnnx(bytes, 'model.onnx'), { instanceOf: OnnxError, message });
    t.regex(error.message, /^model\.onnx: tensor 'bad' /);
  });
}

test('operator set 8 is refused, 9 is read', (t) => {
  t.throws(() => decodeOnnx(encodeOnnx({ ...linear, opset: 8 })), {
    instanceOf: OnnxError,
    message: /operator set 8; expected 9 or newer/,
  });
  t.is(decodeOnnx(encodeOnnx({ ...linear, opset: 9 })).opset, 9);
});

/** A field that holds bytes, as protobuf writes it. */
function field(number: number, content: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let rest = content.length; ; rest >>>= 7) {
    length.push(rest < 128 ? rest : (rest & 127) | 128);
    if (rest < 128) return Buffer.concat([Uint8Array.from([(number << 3) | 2, ...length]), content]);
  }
}

test('messages nested thousands deep are refused, not followed to the end of the stack', (t) => {
  // TypeProto.sequence_type is field 4, Sequence.elem_type field 1; ValueInfoProto.type 2, GraphProto.input 11, graph 7.
  let type: Uint8Array = new Uint8Array();
  for (let depth = 0; depth < 6000; depth++) type = field(1, field(4, type));
  const bytes = field(7, field(11, field(2, field(4, type))));
  t.throws(() => decodeOnnx(bytes), { instanceOf: OnnxError, message: /messages nested too deep/ });
});

const real = [
  ...['mlp', 'cnn', 'dlrm', 'gpt', 'lstm', 'resnet'].map((model) => `../golden/${model}/model.onnx`),
  ...readdirSync(new URL('../onnx-models', import.meta.url))
    .filter((file) => file.endsWith('.onnx'))
    .map((file) => `../onnx-models/${file}`),
];
for (const path of real) {
  test(`${path} is read, and written again reads the same`, (t) => {
    const read = decodeOnnx(readFileSync(new URL(path, import.meta.url)), path);
    t.true(read.nodes.length > 0 && read.inputs.length > 0 && read.outputs.length === 1);
    t.deepEqual(decodeOnnx(encodeOnnx(read)), read);
  });
}

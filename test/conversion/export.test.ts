import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { exportOnnx, fixedBatch } from '../../soap/conversion/export.ts';
import type { Model } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import type { OnnxGraph, OnnxNode, OnnxValue } from '../../soap/onnx/model.ts';
import { runGraph } from '../support/kernel-graphs.ts';
import { CASES as CNN } from '../support/op-cases/cnn.ts';
import { CASES as RECURRENT } from '../support/op-cases/recurrent.ts';
import { CASES as TRANSFORMER } from '../support/op-cases/transformer.ts';
import { meaning } from '../support/meaning.ts';
import type { BuiltCase, OpCase } from '../support/op-case.ts';
import { imported, node } from '../support/onnx-graphs.ts';
import { buildCase, titleOf } from '../support/op-case.ts';
import { distance } from '../support/op-checks.ts';
import { runWhole } from '../support/op-splits.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

const isFed = ({ role }: OpCase['inputs'][number]): boolean => role !== 'parameter';
const fed = ({ inputs }: OpCase): OpCase['inputs'] => inputs.filter(isFed);
/** Whether the case could be a model: all that is fed has as many samples. */
const isModel = (each: OpCase): boolean => new Set(fed(each).map(({ shape }) => shape[0])).size === 1;

/** Comparisons are no results of a model; a dropout is exported as it infers (test/program/dropout.slow.test.ts); ONNX Runtime has no LRN of an even number of channels, which the standard has. */
const NO_MODELS = new Set([
  'greater',
  'less',
  'equal',
  'greaterOrEqual',
  'lessOrEqual',
  'dropout',
  'lrn of four channels, two of them after',
]);

const CASES = [...CNN, ...TRANSFORMER, ...RECURRENT].filter(
  (each) => isModel(each) && !NO_MODELS.has(each.kind) && !NO_MODELS.has(titleOf(each)),
);

/** The operator set of exported files has no dilated AveragePool: there it is a convolution. */
const OTHERWISE = new Set(['avgPool2d over dilated signals']);

/** A case with its parameters' values as weights. */
function modelOf({ graph, op, inputs }: BuiltCase): Model {
  const parameters = op.inputs.flatMap((id, i) => {
    const { name, role } = graph.tensors[id]!;
    return role === 'parameter' ? [[name, Float32Array.from(inputs[i]!)] as const] : [];
  });
  return { graph, weights: new Map(parameters) };
}

/** Runs an exported graph with its batch fixed. */
async function runExported(onnx: OnnxGraph, { graph, op, inputs }: BuiltCase): Promise<ArrayLike<number>> {
  const fixed = (id: number): number[] => [...graph.tensors[id]!.shape];
  const memory = Object.fromEntries(
    graph.inputs.map((id) => [graph.tensors[id]!.name, inputs[op.inputs.indexOf(id)]!]),
  );
  const fixedGraph = {
    ...onnx,
    inputs: onnx.inputs.map((input, i) => ({ ...input, shape: fixed(graph.inputs[i]!) })),
    outputs: onnx.outputs.map((each) => ({ ...each, shape: fixed(graph.outputs[0]!) })),
  };
  const { [onnx.outputs[0]!.name]: output } = await runGraph(engine, fixedGraph, memory);
  return Array.from<number | bigint, number>(output!, Number);
}

for (const each of CASES) {
  const title = titleOf(each);

  test(`${title}, exported, computes the same in any runtime and is imported as the same op`, async (t) => {
    const built = buildCase(each);
    const model = modelOf(built);
    const onnx = decodeOnnx(encodeOnnx(exportOnnx(model)));
    t.deepEqual(
      onnx.nodes.filter(({ domain }) => domain !== ''),
      [],
    );
    t.deepEqual(new Set(onnx.initializers.keys()), new Set(model.weights.keys()));
    const { outputs } = await runWhole(built, { engine });
    t.true(distance(await runExported(onnx, built), outputs[0]!) <= 1e-5);
    const batch = fed(each)[0]!.shape[0]!;
    const again = importOnnx(onnx, { batch, unrollSteps: 16 });
    t.deepEqual(new Set(again.weights.keys()), new Set(model.weights.keys()));
    if (!OTHERWISE.has(title)) t.deepEqual(meaning(again), meaning(model));
  });
}

test('what a cast to booleans gives is whole numbers in a file too, whoever reads them', async (t) => {
  const cast = (from: string, to: string, code: number): OnnxNode => node('Cast', [from], to, { to: code });
  const [float32, int64, bool] = [1, 7, 9];
  const model = imported({
    nodes: [
      cast('x', 'given', bool),
      node('Not', ['given'], 'not'),
      cast('not', 'missing', float32),
      cast('given', 'one', int64),
      node('Add', ['one', 'one'], 'two'),
      cast('two', 'twos', float32),
      node('Sub', ['twos', 'missing'], 'y'),
    ],
    inputs: { x: [2, 3] },
  });
  const onnx = decodeOnnx(encodeOnnx(exportOnnx(model)));
  const fixed =
    (shape: readonly number[]) =>
    (value: OnnxValue): OnnxValue => ({ ...value, shape });
  const whole = { ...onnx, inputs: onnx.inputs.map(fixed([2, 3])), outputs: onnx.outputs.map(fixed([2, 3])) };
  const { y } = await runGraph(engine, whole, { x: [0, 0.25, 2, -1, 0, 0] });
  t.deepEqual([...y!], [-1, 2, 2, 2, -1, -1]);
  t.deepEqual(meaning(importOnnx(onnx, { batch: 2 })), meaning(model));
});

for (const each of CASES) {
  test(`${titleOf(each)}, exported, takes any batch`, (t) => {
    const { graph, ...rest } = buildCase(each);
    const [first] = fed(each);
    const onnx = exportOnnx(modelOf({ graph, ...rest }));
    t.is(fixedBatch(onnx), undefined);
    const again = importOnnx(onnx, { batch: 2 * first!.shape[0]! });
    const [expected, actual] = [graph, again.graph].map((one) => one.tensors[one.outputs[0]!]!.shape);
    t.is(elementCount(actual!), 2 * elementCount(expected!));
  });
}

import test from 'ava';
import type { KernelEngine, TensorBuffer, TensorMemory } from '../../runtime/kernels/kernels.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { useCommonNodes } from '../../runtime/kernels/onnxruntime/common-nodes.ts';
import { useMomentBlocks } from '../../runtime/kernels/onnxruntime/moment-blocks.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { mergeStages } from '../../runtime/program/segments/merge.ts';
import type { Stage } from '../../runtime/program/segments/stage.ts';
import { sumStage } from '../../runtime/program/segments/sum-stage.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { partKernels, wholePart } from '../../soap/ops/kernel.ts';
import { filled, runGraph } from '../support/kernel-graphs.ts';

/** Blocks of 16 rows, which begin amid samples; rows are no multiple of a vector's length. */
const SHAPE = [4, 20, 60, 61];

/** What is before and after a normalization, whose backward passes are one graph. */
interface Surroundings {
  /** Normalizations that a Relu's gradient goes to. */
  readonly normalizations: number;
  readonly relu: boolean;
  /** Gradients that are added up before the Relu's. */
  readonly terms: number;
}

/** Backward passes as the runtime merges them; names of inputs and outputs count from 0. */
function backward({ normalizations, relu, terms }: Surroundings): OnnxGraph {
  const builder = new GraphBuilder();
  const x = builder.input('x', SHAPE);
  const parameters = ['gamma', 'beta'].map((name) => builder.parameter(name, [SHAPE[1]!]));
  const normal = builder.op('batchNorm', 'bn', [x, ...parameters], { epsilon: 1e-5 });
  const graph = builder.build('model', [builder.op('relu', 'relu', [normal])]);
  const [ofNormal, ofRelu] = graph.ops.map(
    (op) =>
      partKernels(
        graph,
        op,
        wholePart(graph, op),
        op.inputs.map(() => true),
      ).backward!.main,
  );
  const memories = new Map<string, TensorBuffer>();
  const memory = (name: string): TensorBuffer => {
    const known = memories.get(name) ?? { dtype: 'float32', length: 0, host: new Float32Array(0) };
    memories.set(name, known);
    return known;
  };
  const stage = (kernel: OnnxGraph, prefix: string, shared: Readonly<Record<string, string>>): Stage => {
    const names = [...kernel.inputs, ...kernel.outputs].map(({ name }) => name);
    const named = names.map((name) => [name, memory(shared[name] ?? `${prefix} ${name}`)] as const);
    return { graph: kernel, memory: Object.fromEntries(named) };
  };
  const first = terms === 1 ? 'term 0' : 'sum';
  const all = Array.from({ length: terms }, (_, i) => memory(`term ${i}`));
  const stages = [
    ...(terms === 1 ? [] : [sumStage(SHAPE, all, memory('sum'))]),
    ...(relu ? [stage(ofRelu!, 'relu', { gradOutput0: first, gradInput0: 'dz' })] : []),
    ...Array.from({ length: normalizations }, (_, i) =>
      stage(ofNormal!, `bn${i}`, { gradOutput0: relu ? 'dz' : first }),
    ),
  ];
  return mergeStages(
    stages,
    (each) => each === memory('dz') || !stages.some((s) => s.graph.inputs.some(({ name }) => s.memory[name] === each)),
  ).graph;
}

function forward(): OnnxGraph {
  const builder = new GraphBuilder();
  const parameters = ['gamma', 'beta'].map((name) => builder.parameter(name, [SHAPE[1]!]));
  const graph = builder.build('bn', [
    builder.op('batchNorm', 'bn', [builder.input('x', SHAPE), ...parameters], { epsilon: 1e-5 }),
  ]);
  const op = graph.ops[0]!;
  return partKernels(graph, op, wholePart(graph, op), []).forward.main;
}

const CASES: readonly (readonly [title: string, graph: OnnxGraph, bodies: readonly string[]])[] = [
  ['a forward pass', forward(), ['Sub Reshape FusedMatMul']],
  [
    'a backward pass',
    backward({ normalizations: 1, relu: false, terms: 1 }),
    ['ReduceSum Sub Reshape Reshape FusedMatMul'],
  ],
  [
    'with the gradient of a Relu',
    backward({ normalizations: 1, relu: true, terms: 1 }),
    ['HardSigmoid Mul ReduceSum Sub Reshape Reshape FusedMatMul'],
  ],
  [
    'of two normalizations, and the sum before it',
    backward({ normalizations: 2, relu: true, terms: 2 }),
    ['Add HardSigmoid Mul ReduceSum Sub Reshape Reshape FusedMatMul', 'ReduceSum Sub Reshape Reshape FusedMatMul'],
  ],
];

function bodiesOf({ nodes }: OnnxGraph): string[] {
  return nodes.flatMap(({ attributes: { body } }) =>
    body?.type === 'graph' ? [body.value.nodes.map(({ opType }) => opType).join(' ')] : [],
  );
}

async function results(engine: KernelEngine, graph: OnnxGraph): Promise<Record<string, TensorMemory>> {
  const values = graph.inputs.map(({ name, shape }, i) => {
    const values = Array.from(filled(shape.map(Number), i + 1).data, Number);
    // Means, variances and scales: none negative.
    return [name, shape.length === 4 ? values : values.map((value) => Math.abs(value) + 0.5)] as const;
  });
  return runGraph(engine, graph, Object.fromEntries(values));
}

/** The largest of absolute values. */
function largestOf(values: TensorMemory): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(Number(value)));
  return largest;
}

for (const [title, graph, bodies] of CASES) {
  test(`normalizations: ${title}: in blocks of rows, the results of the whole and of the reference nearly, the same bits twice`, async (t) => {
    t.deepEqual(bodiesOf(useMomentBlocks(graph, 1)), bodies);
    t.deepEqual(bodiesOf(useMomentBlocks(useCommonNodes(graph), 1)), bodies, 'as the engine has it');
    const twin = { ...graph, inner: [] };
    t.is(useMomentBlocks(twin, 1), twin, 'nothing is known of its values');
    t.is(useMomentBlocks(graph, 2), graph, 'each node has both threads');
    const [ours, reference] = [createOnnxRuntimeEngine({ threads: 1 }), createReferenceEngine()];
    const [once, again, whole, expected] = await Promise.all([
      results(ours, graph),
      results(ours, graph),
      results(ours, twin),
      results(reference, graph),
    ]);
    for (const { name } of graph.outputs) {
      t.deepEqual(once[name], again[name], name);
      const largest = largestOf(expected[name]!);
      for (const other of [whole, expected]) {
        const isNear = (value: number | bigint, i: number): boolean =>
          Math.abs(Number(value) - Number(other[name]![i])) < 2e-5 * largest;
        t.true(once[name]!.every(isNear), name);
      }
    }
    for (const engine of [ours, reference]) engine.close();
  });
}

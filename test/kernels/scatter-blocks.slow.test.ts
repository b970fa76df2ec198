import test from 'ava';
import type { KernelEngine, TensorMemory } from '../../runtime/kernels/kernels.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { useShapesOfSources } from '../../runtime/kernels/onnxruntime/result-shapes.ts';
import { useScatterBlocks } from '../../runtime/kernels/onnxruntime/scatter-blocks.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { arithmetic } from '../../soap/ops/arithmetic.ts';
import type { KernelFrame } from '../../soap/ops/emitter.ts';
import { ALONE, Emitter, float } from '../../soap/ops/emitter.ts';
import { partKernels, wholePart } from '../../soap/ops/kernel.ts';
import { filled, runGraph } from '../support/kernel-graphs.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** Windows of three places that share one with the next. */
const WINDOW = { kernel: [3, 3], strides: [2, 2], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] };

function pooling(shape: readonly number[]): { readonly forward: OnnxGraph; readonly backward: OnnxGraph } {
  const builder = new GraphBuilder();
  const graph = builder.build('pool', [builder.op('maxPool2d', 'pool', [builder.input('x', shape)], WINDOW)]);
  const op = graph.ops[0]!;
  const kernels = partKernels(graph, op, wholePart(graph, op), [true]);
  return { forward: kernels.forward.main, backward: kernels.backward!.main };
}

/** A pooling's gradient with the gradient of the Relu before it, and what may read the one and the other. */
function withRelu(shape: readonly number[], reads: readonly ('pool' | 'relu')[]): OnnxGraph {
  const { backward } = pooling(shape);
  const value = { name: 'y', dtype: 'float32', shape } as const;
  const frame: KernelFrame = { inputs: [value], outputs: [], saved: [], wantsGradInput: [], group: ALONE };
  const emit = new Emitter(frame);
  const dy = { name: 'gradInput0', dtype: 'float32', shape } as const;
  const slope = emit.node('HardSigmoid', [emit.input(0)], shape, { alpha: float(3e38), beta: float(0) });
  const math = arithmetic(emit);
  const product = math.mul(dy, slope);
  emit.setOutput(0, product);
  if (reads.includes('pool')) emit.setOutput(1, math.add(dy, 1));
  if (reads.includes('relu')) emit.setOutput(2, math.add(product, 1));
  const relu = emit.build('relu');
  const stays = (name: string): boolean => /^(y|gradInput0|output.)$/.test(name);
  return {
    ...backward,
    inputs: [...backward.inputs, value],
    outputs: relu.outputs,
    initializers: new Map([
      ...backward.initializers,
      ...[...relu.initializers].map(([n, t]) => [`r_${n}`, t] as const),
    ]),
    inner: [
      ...(backward.inner ?? []),
      ...backward.outputs,
      ...(relu.inner ?? []).map((v) => ({ ...v, name: `r_${v.name}` })),
    ],
    nodes: [
      ...backward.nodes,
      ...relu.nodes.map((node) => ({
        ...node,
        name: `r_${node.name}`,
        inputs: node.inputs.map((n) => (stays(n) ? n : `r_${n}`)),
        outputs: node.outputs.map((n) => (stays(n) ? n : `r_${n}`)),
      })),
    ],
  };
}

/** Of a whole forward pass: indices of a pooling of values of which many are equal. */
async function inputsOf(
  engine: KernelEngine,
  shape: readonly number[],
  outputs: number,
): Promise<Record<string, number[] | TensorMemory>> {
  const { forward } = pooling(shape);
  const x = Array.from(filled(shape, 1).data, Number).map((value) => Math.max(0, Math.round(4 * value)));
  const { saved0 } = await runGraph(engine, forward, { input0: x });
  return { saved0: saved0!, gradOutput0: Array.from(filled([outputs], 2).data, Number), y: x };
}

const SHAPE = [2, 40, 65, 67];

const CASES: readonly (readonly [title: string, graph: OnnxGraph, becomes: RegExp])[] = [
  ['a gradient by itself', pooling(SHAPE).backward, / Scan$/],
  ['with the gradient of the Relu before it', withRelu(SHAPE, []), / Scan$/],
  ['that another reads', withRelu(SHAPE, ['relu']), / Scan Reshape Add$/],
  ['of which others read the former alone', withRelu(SHAPE, ['pool']), / Scan Reshape (Reshape )?HardSigmoid Mul Add$/],
];

for (const [title, graph, becomes] of CASES) {
  test(`poolings: ${title}: in blocks of rows, the same bits, and those of the reference nearly`, async (t) => {
    const blocked = useScatterBlocks(useShapesOfSources(graph));
    t.regex(blocked.nodes.map(({ opType }) => opType).join(' '), becomes);
    t.false(blocked.nodes.some(({ opType }) => opType === 'ScatterElements'));
    const twin = { ...graph, inner: [] };
    t.is(useScatterBlocks(twin), twin, 'nothing is known of its values');
    const [ours, reference] = [createOnnxRuntimeEngine({ threads: 2 }), createReferenceEngine()];
    const values = await inputsOf(ours, SHAPE, elementCount([2, 40, 32, 33]));
    const [once, again, whole, expected] = await Promise.all([
      runGraph(ours, graph, values),
      runGraph(ours, graph, values),
      runGraph(ours, twin, values),
      runGraph(reference, graph, values),
    ]);
    for (const { name } of graph.outputs) {
      t.deepEqual(once[name], whole[name], name);
      t.deepEqual(again[name], whole[name], name);
      t.true(
        once[name]!.every((value, i) => Math.abs(Number(value) - Number(expected[name]![i])) < 1e-5),
        name,
      );
      t.true(
        once[name]!.some((value) => Number(value) > 0.1),
        name,
      );
    }
    for (const engine of [ours, reference]) engine.close();
  });
}

test('few rows, or rows that only come in many small blocks, stay whole', (t) => {
  for (const shape of [
    [2, 8, 65, 67],
    [1, 1, 600, 600],
    [1, 8191, 8, 8],
  ]) {
    const { backward } = pooling(shape);
    t.is(useScatterBlocks(backward), backward, shape.join());
  }
});

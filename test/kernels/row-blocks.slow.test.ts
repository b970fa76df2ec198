import test from 'ava';
import fc from 'fast-check';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { useShapesOfSources } from '../../runtime/kernels/onnxruntime/result-shapes.ts';
import { useRowBlocks } from '../../runtime/kernels/onnxruntime/row-blocks.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { KernelEngine, TensorMemory } from '../../runtime/kernels/kernels.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { arithmetic } from '../../soap/ops/arithmetic.ts';
import type { Value } from '../../soap/ops/emitter.ts';
import { ALONE, Emitter, int } from '../../soap/ops/emitter.ts';
import { partKernels, wholePart } from '../../soap/ops/kernel.ts';
import { filled, runGraph } from '../support/kernel-graphs.ts';
import { FULL_RUN } from '../support/full-run.ts';

/** The least that is cut where there is one thread: four blocks of 65,536. */
const SHAPE = [4, 128, 512];

/** The same graph without what the engine has to know of values to find groups of nodes: the twin that stays as it is. */
function twin(graph: OnnxGraph): OnnxGraph {
  return { ...graph, inner: [] };
}

function opTypes({ nodes }: OnnxGraph): string {
  return nodes.map(({ opType }) => opType).join(' ');
}

async function results(engine: KernelEngine, graph: OnnxGraph): Promise<Record<string, TensorMemory>> {
  const values = graph.inputs.map(({ name, shape }, i) => [name, filled(shape.map(Number), i + 1).data] as const);
  return runGraph(engine, graph, Object.fromEntries(values));
}

function backward(kind: string, parameters: readonly (readonly number[])[] = [], attributes = {}): OnnxGraph {
  const builder = new GraphBuilder();
  const x = builder.input('x', SHAPE);
  const inputs = [x, ...parameters.map((shape, i) => builder.parameter(`p${i}`, shape))];
  const graph = builder.build(kind, [builder.op(kind, kind, inputs, attributes)]);
  const op = graph.ops[0]!;
  return partKernels(
    graph,
    op,
    wholePart(graph, op),
    inputs.map(() => true),
  ).backward!.main;
}

/** Nodes between which something outside of the group has to run, and results that others read. */
function withDetour(): OnnxGraph {
  const value = (name: string, shape: readonly number[]): Value => ({ name, dtype: 'float32', shape });
  const inputs = [value('input0', [512, 512]), value('input1', [512, 512]), value('input2', [512])];
  const emit = new Emitter({ inputs, outputs: [], saved: [], wantsGradInput: [], group: ALONE });
  const math = arithmetic(emit);
  const [a, b, c] = [0, 1, 2].map((i) => emit.input(i));
  const chain = (x: Value, times: number): Value =>
    times === 0 ? x : chain(math.add(math.mul(x, b!), math.apply('Tanh', x)), times - 1);
  const first = chain(math.add(a!, c!), 3);
  const softened = emit.node('Softmax', [first], first.shape, { axis: int(1) });
  const detour = emit.transpose(emit.transpose(softened, [1, 0]), [1, 0]);
  emit.setOutput(0, first);
  emit.setOutput(1, chain(math.sub(detour, first), 3));
  emit.setOutput(2, math.sumKept(math.mul(first, first), [1]));
  return emit.build('detour');
}

const CASES: readonly (readonly [title: string, graph: OnnxGraph, becomes: RegExp])[] = [
  ['the gradient of gelu', backward('gelu'), /^Reshape Reshape Scan$/],
  [
    'the gradient of a layer normalization, its column sums apart',
    backward('layerNorm', [[512], [512]], { epsilon: 1e-5 }),
    /^ReduceSum (Reshape )+Scan Reshape ReduceSum$/,
  ],
  [
    'two groups with a detour between',
    withDetour(),
    /^(Reshape )+Scan (Reshape )+Transpose Transpose (Reshape )+Scan$/,
  ],
];

for (const [title, graph, becomes] of CASES) {
  test(`${title}: in blocks of rows, the same bits, and those of the reference nearly`, async (t) => {
    t.regex(opTypes(useRowBlocks(graph, 1)), becomes);
    t.is(useRowBlocks(twin(graph), 1).nodes, twin(graph).nodes);
    t.is(useRowBlocks(graph, 2), graph, 'as large for two threads as for one');
    const [ours, reference] = [createOnnxRuntimeEngine({ threads: 1 }), createReferenceEngine()];
    const [inBlocks, whole, expected] = await Promise.all([
      results(ours, graph),
      results(ours, twin(graph)),
      results(reference, graph),
    ]);
    for (const { name } of graph.outputs) {
      t.deepEqual(inBlocks[name], whole[name], name);
      const close = (value: number | bigint, i: number): boolean => {
        const wanted = Number(expected[name]![i]);
        return Math.abs(Number(value) - wanted) <= 1e-4 * Math.max(1, Math.abs(wanted));
      };
      t.true(inBlocks[name]!.every(close), name);
    }
    ours.close();
    reference.close();
  });
}

/** A step of a random graph: which op, on which earlier values. */
const step = fc.record({ kind: fc.nat(6), a: fc.nat(), b: fc.nat() });

function randomGraph(steps: readonly { kind: number; a: number; b: number }[], kept: number): OnnxGraph {
  const shape = [2, 256, 512];
  const value = (name: string, extents: readonly number[]): Value => ({ name, dtype: 'float32', shape: extents });
  const inputs = [value('input0', shape), value('input1', shape), value('input2', [512]), value('input3', [2, 256, 1])];
  const emit = new Emitter({ inputs, outputs: [], saved: [], wantsGradInput: [], group: ALONE });
  const math = arithmetic(emit);
  const values = inputs.map((_, i) => emit.input(i));
  const pick = (index: number, from: readonly Value[] = values): Value => from[index % from.length]!;
  const wholes = (): Value[] => values.filter((each) => each.shape.join() === shape.join());
  for (const { kind, a, b } of steps) {
    const whole = pick(a, wholes());
    const made = [
      () => math.add(whole, pick(b)),
      () => math.sub(pick(b), whole),
      () => math.mul(whole, math.apply('Tanh', pick(b))),
      () => math.apply('Sigmoid', whole),
      () => math.mul(math.sumKept(whole, [2]), 1 / 512),
      () => emit.node('Softmax', [whole], shape, { axis: int(-1) }),
      () => emit.transpose(emit.transpose(whole, [2, 0, 1]), [1, 2, 0]),
    ];
    values.push(made[kind]!());
  }
  values.slice(4).forEach((each, i) => {
    if (i === steps.length - 1 || (kept >> i) % 2 === 1) emit.setOutput(i, each);
  });
  return emit.build('random');
}

test('random graphs give the same bits in blocks of rows as whole', async (t) => {
  const engine = createOnnxRuntimeEngine({ threads: 1 });
  const runs = FULL_RUN ? 12 : 2;
  let cut = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 20 }), fc.nat(2 ** 20), async (steps, kept) => {
      const graph = randomGraph(steps, kept);
      if (useRowBlocks(graph, 1) !== graph) cut += 1;
      t.deepEqual(await results(engine, graph), await results(engine, twin(graph)));
    }),
    { numRuns: runs, seed: 2 },
  );
  t.true(cut >= runs / 4, `${cut} of ${runs} were cut`);
  engine.close();
});

test('a result that was reshaped is written as it was before', async (t) => {
  const inputs: Value[] = [{ name: 'input0', dtype: 'float32', shape: [2, 6] }];
  const emit = new Emitter({ inputs, outputs: [], saved: [], wantsGradInput: [], group: ALONE });
  const math = arithmetic(emit);
  const turned = emit.transpose(emit.input(0), [1, 0]);
  emit.setOutput(0, emit.reshape(turned, [3, 4]));
  emit.setOutput(1, emit.reshape(turned, [4, 3]));
  const doubled = math.mul(emit.input(0), 2);
  const flat = emit.reshape(doubled, [12]);
  emit.setOutput(2, flat);
  emit.setOutput(3, math.add(flat, 1));
  emit.setOutput(4, math.sub(doubled, 1));
  const graph = emit.build('reshaped');
  t.is(opTypes(useShapesOfSources(graph)), 'Transpose Reshape Mul Reshape Add Sub');
  const engines = [createOnnxRuntimeEngine({ threads: 1 }), createReferenceEngine()];
  const [ours, theirs] = await Promise.all(engines.map((engine) => results(engine, graph)));
  t.deepEqual(ours, theirs);
  for (const engine of engines) engine.close();
});

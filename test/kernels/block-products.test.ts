import test from 'ava';
import { useBlockProducts } from '../../runtime/kernels/onnxruntime/block-products.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../../soap/onnx/model.ts';
import { int, ints } from '../../soap/ops/emitter.ts';
import { filled, list, runGraph } from '../support/kernel-graphs.ts';

type Shapes = Readonly<Record<string, readonly number[]>>;

interface Case {
  readonly title: string;
  readonly inputs: Shapes;
  readonly inner?: Shapes;
  readonly outputs: Shapes;
  readonly constants?: Readonly<Record<string, OnnxTensor>>;
  readonly nodes: readonly OnnxNode[];
  /** Op types that the graph must come to, on a processor with blocks of 16. */
  readonly becomes: string;
}

const PRODUCT = 'Reshape ReorderInput Reshape Reshape ReorderInput Conv ReorderOutput';
const TURNED = 'Reshape ReorderInput ReorderOutput';

const CASES: readonly Case[] = [
  {
    title: 'a b',
    inputs: { a: [256, 1024], b: [1024, 272] },
    outputs: { y: [256, 272] },
    nodes: [node('MatMul', ['a', 'b'], 'y')],
    becomes: PRODUCT,
  },
  {
    title: 'a b^T and a bias, with samples and positions',
    inputs: { a: [2, 130, 1024], b: [256, 1024], c: [256] },
    inner: { z: [2, 130, 256] },
    outputs: { y: [2, 130, 256] },
    nodes: [node('FusedMatMul', ['a', 'b'], 'z', { transB: int(1) }), node('Add', ['z', 'c'], 'y')],
    becomes: PRODUCT,
  },
  {
    title: 'a^T b, where only the columns of a are whole blocks',
    inputs: { a: [512, 272], b: [512, 259] },
    outputs: { y: [272, 259] },
    nodes: [node('Gemm', ['a', 'b'], 'y', { transA: int(1) })],
    becomes: PRODUCT,
  },
  {
    title: 'two products of a^T, transposed beforehand, and a reader of the first',
    inputs: { a: [512, 256], b: [512, 288], c: [512, 320] },
    inner: { t: [256, 512] },
    outputs: { y: [256, 288], z: [256, 320], w: [256, 288] },
    nodes: [
      node('Transpose', ['a'], 't', { perm: ints([1, 0]) }),
      node('Gemm', ['t', 'b'], 'y'),
      node('Gemm', ['t', 'c'], 'z'),
      node('Relu', ['y'], 'w'),
    ],
    becomes: `${PRODUCT} Reshape Reshape ReorderInput Reshape Conv ReorderOutput Relu`,
  },
  {
    title: 'a product between other nodes',
    inputs: { a: [256, 1024], b: [256, 1024], c: [256] },
    inner: { r: [256, 1024], z: [256, 256] },
    outputs: { y: [256, 256] },
    nodes: [node('Relu', ['a'], 'r'), node('Gemm', ['r', 'b', 'c'], 'z', { transB: int(1) }), node('Relu', ['z'], 'y')],
    becomes: `Relu ${PRODUCT} Reshape Relu`,
  },
  {
    title: 'a large matrix that is turned for another reader',
    inputs: { a: [1024, 1040] },
    inner: { t: [1040, 1024] },
    outputs: { y: [1040, 1024] },
    nodes: [node('Transpose', ['a'], 't', { perm: ints([1, 0]) }), node('Relu', ['t'], 'y')],
    becomes: `${TURNED} Reshape Relu`,
  },
  {
    title: 'a large matrix that is turned for a product alone',
    inputs: { a: [1024, 1040], b: [1024, 256] },
    inner: { t: [1040, 1024] },
    outputs: { y: [1040, 256] },
    nodes: [node('Transpose', ['a'], 't', { perm: ints([1, 0]) }), node('Gemm', ['t', 'b'], 'y')],
    becomes: PRODUCT,
  },
  {
    title: 'a matrix of two products, once in other axes',
    inputs: { a: [2, 256, 1024], b: [1024, 512], c: [512, 272] },
    inner: { r: [512, 1024] },
    outputs: { y: [2, 256, 512], z: [1024, 272] },
    constants: { rows: list(512, 1024) },
    nodes: [
      node('FusedMatMul', ['a', 'b'], 'y'),
      node('Reshape', ['a', 'rows'], 'r'),
      node('Gemm', ['r', 'c'], 'z', { transA: int(1) }),
    ],
    becomes: `${PRODUCT} Reshape Reshape Reshape ReorderInput Conv ReorderOutput`,
  },
  {
    title: 'sums that are no whole blocks',
    inputs: { a: [256, 1032], b: [1032, 256] },
    outputs: { y: [256, 256] },
    nodes: [node('MatMul', ['a', 'b'], 'y')],
    becomes: 'MatMul',
  },
  {
    title: 'few rows',
    inputs: { a: [64, 1024], b: [1024, 256] },
    outputs: { y: [64, 256] },
    nodes: [node('MatMul', ['a', 'b'], 'y')],
    becomes: 'MatMul',
  },
  {
    title: 'several matrices as the second operand',
    inputs: { a: [1, 256, 1024], b: [1, 1024, 256] },
    outputs: { y: [1, 256, 256] },
    nodes: [node('MatMul', ['a', 'b'], 'y')],
    becomes: 'MatMul',
  },
];

function node(opType: string, inputs: string[], y: string, attributes: Record<string, OnnxAttribute> = {}): OnnxNode {
  const domain = opType === 'FusedMatMul' ? 'com.microsoft' : '';
  return { name: `the ${opType} of ${y}`, opType, domain, inputs, outputs: [y], attributes };
}

function valuesOf(shapes: Shapes = {}): OnnxValue[] {
  return Object.entries(shapes).map(([name, shape]) => ({ name, dtype: 'float32', shape }));
}

function graphOf({ title, inputs, inner, outputs, constants = {}, nodes }: Case): OnnxGraph {
  const values = { inputs: valuesOf(inputs), inner: valuesOf(inner), outputs: valuesOf(outputs) };
  return { name: title, opset: 17, ...values, initializers: new Map(Object.entries(constants)), nodes };
}

for (const each of CASES) {
  test(`${each.title} becomes ${each.becomes}`, (t) => {
    const { nodes } = useBlockProducts(graphOf(each), 16);
    t.is(nodes.map(({ opType }) => opType).join(' '), each.becomes);
  });
  test(`${each.title}: gives what the reference does`, async (t) => {
    const graph = graphOf(each);
    const values = Object.fromEntries(
      graph.inputs.map(({ name, shape }, i) => [name, filled(shape.map(Number), i + 1).data]),
    );
    const engines = [createOnnxRuntimeEngine({ threads: 1 }), createReferenceEngine()];
    const [ours, theirs] = await Promise.all(engines.map((engine) => runGraph(engine, graph, values)));
    for (const { name, shape } of graph.outputs) {
      const [got, expected] = [ours![name]!, theirs![name]!];
      const scale = Math.sqrt(Number(each.inputs['a']!.at(-1)));
      t.is(
        got.length,
        shape.map(Number).reduce((a, b) => a * b),
      );
      t.true(
        expected.every((value: number | bigint, i: number) => Math.abs(Number(value) - Number(got[i])) < 1e-5 * scale),
      );
    }
    for (const engine of engines) engine.close();
  });
}

test('without blocks, nothing changes', (t) => {
  for (const each of CASES) {
    const graph = graphOf(each);
    t.is(useBlockProducts(graph, undefined), graph);
  }
});

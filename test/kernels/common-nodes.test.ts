import test from 'ava';
import { useCommonNodes } from '../../runtime/kernels/onnxruntime/common-nodes.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { OnnxGraph, OnnxNode } from '../../soap/onnx/model.ts';
import { int } from '../../soap/ops/emitter.ts';
import { filled, list, runGraph } from '../support/kernel-graphs.ts';

function named(opType: string, inputs: string[], y: string): OnnxNode {
  const attributes = opType === 'Softmax' ? { axis: int(1) } : {};
  return { name: y, opType, domain: '', inputs, outputs: [y], attributes };
}

/** Two ways to the softmax of x in rows of four, and once more with rows of two. */
const graph: OnnxGraph = {
  name: 'twice',
  opset: 17,
  inputs: [{ name: 'x', dtype: 'float32', shape: [2, 2, 4] }],
  outputs: ['y', 'z', 'v'].map((name) => ({ name, dtype: 'float32', shape: name === 'v' ? [8, 2] : [4, 4] })),
  initializers: new Map([
    ['four', list(4, 4)],
    ['also', list(4, 4)],
    ['two', list(8, 2)],
  ]),
  nodes: [
    named('Reshape', ['x', 'four'], 'a'),
    named('Softmax', ['a'], 'p'),
    named('Exp', ['p'], 'y'),
    named('Reshape', ['x', 'also'], 'b'),
    named('Softmax', ['b'], 'q'),
    named('Neg', ['q'], 'z'),
    named('Reshape', ['x', 'two'], 'c'),
    named('Softmax', ['c'], 'v'),
  ],
};

test('what is computed twice is computed once', (t) => {
  const { nodes } = useCommonNodes(graph);
  t.is(nodes.map(({ opType }) => opType).join(' '), 'Reshape Softmax Exp Neg Reshape Softmax');
});

const alsoResults = (...names: string[]): OnnxGraph => {
  const outputs = names.map((name) => ({ name, dtype: 'float32' as const, shape: [4, 4] }));
  return { ...graph, name: `twice, with ${names}`, outputs: [...graph.outputs, ...outputs] };
};

test('what is a result of the graph is computed under its name', (t) => {
  const { nodes } = useCommonNodes(alsoResults('q'));
  t.is(nodes.map(({ opType }) => opType).join(' '), 'Reshape Softmax Exp Neg Reshape Softmax');
  t.deepEqual(nodes[1]!.outputs, ['q']);
});

test('of two results both stay', (t) => {
  const { nodes } = useCommonNodes(alsoResults('p', 'q'));
  t.is(nodes.map(({ opType }) => opType).join(' '), 'Reshape Softmax Exp Softmax Neg Reshape Softmax');
});

for (const each of [graph, alsoResults('q'), alsoResults('p', 'q')]) {
  test(`${each.name}: gives what the reference does`, async (t) => {
    const engines = [createOnnxRuntimeEngine({ threads: 1 }), createReferenceEngine()];
    const [ours, theirs] = await Promise.all(
      engines.map((engine) => runGraph(engine, each, { x: filled([2, 2, 4]).data })),
    );
    for (const { name } of each.outputs) {
      t.true(
        theirs![name]!.every(
          (value: number | bigint, i: number) => Math.abs(Number(value) - Number(ours![name]![i])) < 1e-6,
        ),
      );
    }
    for (const engine of engines) engine.close();
  });
}

import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { OnnxNode } from '../../soap/onnx/model.ts';
import { list } from '../support/kernel-graphs.ts';
import { constant, imported, node } from '../support/onnx-graphs.ts';
import { runWholeGraph } from '../support/whole-graph.ts';

const engines = [createReferenceEngine(), createOnnxRuntimeEngine({ threads: 1 })];
test.after.always(() => {
  for (const engine of engines) engine.close();
});

const whole = (name: string, value: number): OnnxNode =>
  constant(name, { dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(value)) });

/** Of the whole numbers `w`, -2 0 0 0 1 3 as [1, 2, 3]: by the text of each operator, https://onnx.ai/onnx/operators/ */
const cases: readonly (readonly [nodes: readonly OnnxNode[], expected: readonly number[]])[] = [
  [
    [whole('c', 1), node('Add', ['w', 'c'], 'r')],
    [-1, 1, 1, 1, 2, 4],
  ],
  [
    [whole('c', 1), node('Sub', ['c', 'w'], 'r')],
    [3, 1, 1, 1, 0, -2],
  ],
  [[node('Mul', ['w', 'w'], 'r')], [4, 0, 0, 0, 1, 9]],
  [
    [whole('c', 2), node('Div', ['w', 'c'], 'r')],
    [-1, 0, 0, 0, 0, 1],
  ],
  [[node('Neg', ['w'], 'r')], [2, 0, 0, 0, -1, -3]],
  [
    [node('Neg', ['w'], 'q'), node('Max', ['w', 'q'], 'r')],
    [2, 0, 0, 0, 1, 3],
  ],
  [
    [whole('c', 1), node('Min', ['w', 'c'], 'r')],
    [-2, 0, 0, 0, 1, 1],
  ],
  [
    [whole('a', 0), whole('b', 2), node('Clip', ['w', 'a', 'b'], 'r')],
    [0, 0, 0, 0, 1, 2],
  ],
  [
    [constant('axes', list(2)), node('ReduceSum', ['w', 'axes'], 'r')],
    [-2, 4],
  ],
  [[node('Sign', ['w'], 'r')], [-1, 0, 0, 0, 1, 1]],
  [
    [whole('c', 3), node('Pow', ['c', 'w'], 'r')],
    [0, 1, 1, 1, 3, 27],
  ],
  [
    [constant('axes', list(2)), node('ReduceL2', ['w', 'axes'], 'r')],
    [2, 3],
  ],
  [
    [
      whole('a', 1),
      node('Less', ['w', 'a'], 'l'),
      node('Neg', ['l'], 'q'),
      constant('axes', list(1, 2)),
      node('ReduceLogSumExp', ['q', 'axes'], 'r'),
    ],
    // The logarithm of 4 / e + 2 is 1.24.
    [1],
  ],
  [
    [whole('a', 0), whole('b', 7), node('Greater', ['w', 'a'], 'g'), node('Where', ['g', 'w', 'b'], 'r')],
    [7, 7, 7, 7, 1, 3],
  ],
];
for (const [nodes, expected] of cases) {
  test(`${nodes.at(-1)!.opType} of whole numbers gives whole numbers`, async (t) => {
    const ends = [node('Cast', ['x'], 'w', { to: 7 }), ...nodes, node('Cast', ['r'], 'y', { to: 1 })];
    const model = imported({ inputs: { x: [1, 2, 3] }, opset: 18, nodes: ends });
    // What comes before the last cast is int64 where devices exchange it, too.
    const last = model.graph.ops.at(-1)!;
    t.is(last.kind, 'cast');
    t.is(model.graph.tensors[last.inputs[0]!]!.dtype, 'int64');
    for (const engine of engines) {
      const { tensors } = await runWholeGraph(model, { x: [-2, -0.5, 0, 0.5, 1, 3] }, engine);
      t.deepEqual(Array.from(tensors[model.graph.outputs[0]!]!, Number), [...expected], engine.name);
    }
  });
}
